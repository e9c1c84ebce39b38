"""Power-function averages: the profile, its length, and the direct weighted sum."""

import math

import numpy as np
import pytest

from skfm_lib.training.averages import exponent, exponential, power_function


@pytest.mark.parametrize(
    ("gamma", "length"), [(6.94, 0.10), (16.97, 0.05), (4.31, 0.135), (10.29, 0.075)]
)
def test_exponents_are_those_published(gamma, length):
    assert exponent(length) == pytest.approx(gamma, abs=0.005)


@pytest.mark.parametrize("length", [0.001, 0.02, 0.05, 0.1, 0.2, 0.28])
def test_the_length_is_the_standard_deviation_of_the_profile(length):
    gamma = exponent(length)
    assert gamma > 0
    # τ^γ on (0, 1) is the Beta distribution with parameters γ + 1 and 1.
    closed = math.sqrt((gamma + 1) / ((gamma + 2) ** 2 * (gamma + 3)))
    assert closed == pytest.approx(length, rel=1e-8)
    tau = (np.arange(1_000_000) + 0.5) / 1_000_000
    mass = tau**gamma / (tau**gamma).sum()
    mean = mass @ tau
    assert math.sqrt(mass @ (tau - mean) ** 2) == pytest.approx(length, rel=1e-4)


@pytest.mark.parametrize("length", [0.05, 0.1, 0.28])
def test_the_recursion_is_the_weighted_sum_of_all_steps(length):
    values = np.random.default_rng(0).normal(size=300)
    decay, average = power_function(length), 1e9  # the initial value does not count
    for step, value in enumerate(values):
        average = decay(step) * average + (1 - decay(step)) * value
    power = exponent(length) + 1
    ends = (np.arange(301) / 300) ** power  # the integral of τ^γ up to each step
    assert average == pytest.approx(np.diff(ends) @ values, rel=1e-10)


def test_a_weight_is_tau_to_gamma():
    decay, gamma = power_function(0.1), exponent(0.1)
    kept = np.array([decay(step) for step in range(2000)])
    later = np.append(np.cumprod(kept[:0:-1])[::-1], 1.0)
    weight = (1 - kept) * later
    assert weight.sum() == pytest.approx(1)
    ratio = weight[1999] / weight[999]
    assert ratio == pytest.approx((1999.5 / 999.5) ** gamma, rel=1e-5)


def test_an_exponential_average_is_short_at_first():
    decay = exponential(0.9)
    assert [decay(0), decay(10), decay(1000)] == [0.1, 11 / 20, 0.9]
