"""Columns of sets that are odd: unequal, of one score, empty, too few, with NaN."""

from math import inf

import numpy as np
import pytest
import torch

from skfm_lib.evaluation.table1_columns import BETWEEN_SETS, RANGES, compare, in_range
from skfm_lib.metrics import extract
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.utils.errors import SkfmError


def features(n, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, 6)) + shift


@pytest.mark.parametrize("shift", [0.0, 0.8, 50.0])
@pytest.mark.parametrize("n, m", [(24, 24), (30, 17)])
def test_every_interval_holds_its_value_and_stays_in_the_range(n, m, shift):
    row = in_range(compare(features(n, 0), features(m, 1, shift), 0, n=8).row(), m)
    assert tuple(row) == BETWEEN_SETS
    for column, (value, low, high) in row.items():
        least, most = RANGES.get(column, (0, 1))
        assert least <= low <= value <= high <= most and high < inf


def test_one_score_is_as_no_score_and_a_score_of_the_other_set_is_allowed():
    real, fake = features(20, 0), features(20, 1)
    blind = compare(real, fake, 0, n=8).row()
    one = compare(real, fake, 0, n=8, labels=([4] * 20, [4] * 20)).row()
    assert [v.value for v in one.values()] == [v.value for v in blind.values()]
    apart = compare(real, fake, 0, n=8, labels=([4] * 20, [5] * 20)).row()
    assert all(np.isfinite(value) for each in apart.values() for value in each)


def test_an_empty_volume_has_features_as_any_other():
    volumes = torch.zeros(3, 1, 20, 16, 24, dtype=torch.bool)
    volumes[1, :, 4:12, 4:12, 4:12] = True
    found = extract(StudyFeatures().eval(), volumes)
    assert found.isfinite().all() and torch.equal(found[0], found[2])
    assert not torch.allclose(found[0], found[1])


def test_copies_and_one_skull_repeated_have_numbers_that_mean_something():
    real = features(24, 0)
    copies = in_range(compare(real, real, 0, n=8, paired=True).row(), 24)
    assert copies["FID ↓"].high < 1e-9 and copies["IP ↑"].value == 1
    assert copies["IP ↑"].low < 1  # 24 of 24 are no certainty
    repeated = in_range(compare(real, real[:1].repeat(24, axis=0), 0, n=8).row(), 24)
    assert repeated["IR ↑"].value == 0 < repeated["IR ↑"].high


def test_what_has_no_meaning_is_named():
    real, few, gaps = features(24, 0), features(7, 1), features(24, 2)
    gaps[3, 2] = np.nan
    with pytest.raises(SkfmError, match=r"sets of \[24, 7\] items|k = 5 neighbours"):
        compare(real, few, 0)
    with pytest.raises(SkfmError, match="row 3 holds NaN"):
        compare(real, gaps, 0)
    with pytest.raises(SkfmError, match="a label for each item"):
        compare(real, real[:20], 0, labels=([2] * 24, [2] * 24))
    with pytest.raises(SkfmError, match="paired sets of one size"):
        compare(real, real[:20], 0, paired=True)
