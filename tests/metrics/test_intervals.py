"""Intervals have the width that theory gives them."""

import numpy as np
import pytest

from skfm_lib.errors import SkfmError
from skfm_lib.metrics import bootstrap, frechet_distance, half_sampling
from skfm_lib.metrics.intervals import Interval

METHODS = [bootstrap, half_sampling]


@pytest.mark.parametrize("method", METHODS)
def test_width_for_a_mean_is_that_of_the_normal_law(method):
    x = np.random.default_rng(0).normal(size=400)
    value, low, high = method(np.mean, x, n=2000)
    assert value == pytest.approx(x.mean())
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert low < value < high


@pytest.mark.parametrize("method", METHODS)
def test_two_sets_add_their_variances(method):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), 2 * rng.normal(size=200)
    _, low, high = method(lambda a, b: a.mean() - b.mean(), x, y, n=2000)
    error = np.sqrt(x.var() / 300 + y.var() / 200)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_half_sampling_covers_the_spread_of_the_frechet_distance():
    rng = np.random.default_rng(2)
    draw = lambda: rng.normal(size=(2, 120, 4)) + [[[0]], [[1]]]  # noqa: E731
    truth = np.std([frechet_distance(*draw()) for _ in range(300)])
    widths = []
    for _ in range(8):
        _, low, high = half_sampling(frechet_distance, *draw(), n=100)
        widths.append((high - low) / (2 * 1.96))
    assert np.mean(widths) == pytest.approx(truth, rel=0.2)


@pytest.mark.parametrize("method", METHODS)
def test_same_seed_same_interval_and_levels_nest(method):
    x = np.random.default_rng(3).normal(size=50)
    assert method(np.mean, x, seed=4) == method(np.mean, x, seed=4)
    assert method(np.mean, x, seed=4) != method(np.mean, x, seed=5)
    wide, narrow = method(np.mean, x, level=0.99), method(np.mean, x, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_an_interval_prints_itself():
    assert str(Interval(0.12345, 0.1, 0.2)) == "0.123 [0.1, 0.2]"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "items, settings", [(1, {}), (50, {"n": 1}), (50, {"level": 1.0})]
)
def test_bad_input_is_named(method, items, settings):
    with pytest.raises(SkfmError):
        method(np.mean, np.zeros(items), **settings)
