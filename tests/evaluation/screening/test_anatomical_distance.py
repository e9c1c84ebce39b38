"""The distance of measures: closed form, units, and what it must refuse."""

import numpy as np
import pytest

from skfm_lib.evaluation.screening.anatomical_distance import (
    anatomical_distance,
    anatomical_interval,
)
from skfm_lib.evaluation.screening.measures import SINGLE, Measurements
from skfm_lib.utils.errors import SkfmError


@pytest.fixture
def white():
    """Measures with mean 0 and covariance exactly 1."""
    x = np.random.default_rng(0).normal(size=(300, SINGLE))
    x -= x.mean(axis=0)
    return x @ np.linalg.inv(np.linalg.cholesky(np.cov(x.T))).T


def test_closed_form_of_gaussians_in_any_units(white):
    rng = np.random.default_rng(1)
    units, offset = rng.uniform(50, 500, SINGLE), 1000 * rng.normal(size=SINGLE)
    stretch, shift = rng.uniform(0.5, 2, SINGLE), rng.normal(size=SINGLE)
    expected = shift @ shift + np.sum((stretch - 1) ** 2)
    real, fake = (x * units + offset for x in (white, white * stretch + shift))
    assert anatomical_distance(real, fake) == pytest.approx(expected)
    assert anatomical_distance(real, real[::-1]) == pytest.approx(0, abs=1e-9)


def test_a_measure_in_which_real_skulls_agree_counts_by_its_least_difference(white):
    real = 100 * white
    real[:, 0] = 1  # all in one part; differences of 1 count as one spread
    fake = real.copy()
    fake[:, 0] = 3
    assert anatomical_distance(real, fake) == pytest.approx(4)


def test_the_interval_holds_its_value_and_is_positive(white):
    real, fake = (
        Measurements(x, np.zeros((150, 1, 1)), np.zeros((150, 1)))
        for x in (100 * white[:150], 100 * white[150:])
    )
    value, low, high = anatomical_interval(real, fake)
    assert 0 < low < value < high
    assert value == pytest.approx(anatomical_distance(real.values, fake.values))


def test_few_skulls_and_gaps_are_named(white):
    with pytest.raises(SkfmError, match="10 skulls for 11 measures"):
        anatomical_distance(white, white[:10])
    white[4, 2] = np.nan
    with pytest.raises(SkfmError, match="row 4 holds NaN"):
        anatomical_distance(np.roll(white, 100, axis=0)[:100], white)
