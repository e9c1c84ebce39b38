"""The distance of measures: closed form, units, and what it must refuse."""

import numpy as np
import pytest

from skfm_lib.evaluation.screening.anatomical_distance import (
    anatomical_distance,
    anatomical_interval,
)
from skfm_lib.evaluation.screening.measures import SINGLE
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
    real, fake = 100 * white[:150], 100 * white[150:]
    value, low, high = anatomical_interval(real, fake)
    assert 0 < low < value < high
    assert value == pytest.approx(anatomical_distance(real, fake))


@pytest.mark.parametrize(("n", "repeats"), [(48, 60), (182, 30)])
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_the_interval_covers_the_mean_at_the_sizes_used(n, repeats, shift):
    found = []
    for i in range(repeats):
        real, fake = 100 * np.random.default_rng([n, i]).normal(size=(2, n, SINGLE))
        found.append(anatomical_interval(real, fake + 100 * shift, i))
    value, low, high = np.array(found).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / repeats) < covered
    assert 0 < low.min() and np.mean(high - low) < 2 * 1.96 * 1.6 * value.std()


def test_few_skulls_and_gaps_are_named(white):
    with pytest.raises(SkfmError, match="10 skulls for 11 measures"):
        anatomical_distance(white, white[:10])
    white[4, 2] = np.nan
    with pytest.raises(SkfmError, match="row 4 holds NaN"):
        anatomical_distance(np.roll(white, 100, axis=0)[:100], white)
    with pytest.raises(SkfmError, match="real: row 4 holds NaN"):
        anatomical_distance(white[:100], white[100:200])
