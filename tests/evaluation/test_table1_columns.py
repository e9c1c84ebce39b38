"""Columns of sets that are odd: unequal, of one score, empty, too few, with NaN."""

from math import inf

import numpy as np
import pytest
import torch

from skfm_lib.evaluation.table1_columns import BETWEEN_SETS, RANGES, compare, in_range
from skfm_lib.metrics import Interval, difference, extract
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
    with pytest.raises(SkfmError, match="sets of 24 and 7 skulls.*at least 12"):
        compare(real, few, 0)
    with pytest.raises(SkfmError, match="row 3 holds NaN"):
        compare(real, gaps, 0)
    with pytest.raises(SkfmError, match="a label for each item"):
        compare(real, real[:20], 0, labels=([2] * 24, [2] * 24))
    with pytest.raises(SkfmError, match="paired sets of one size"):
        compare(real, real[:20], 0, paired=True)


CENTRES = 2 * np.random.default_rng(20).normal(size=(5, 12))
AXES = np.arange(12)
COUNTS = {48: [11, 13, 10, 12, 2], 182: [42, 51, 38, 42, 9]}  # of scores 2 to 6


def matched(n, seed, spread=1.0, shift=0.0):
    """Features of a mixture with fixed numbers of each score, and the scores."""
    scores = np.repeat(np.arange(5), COUNTS[n])
    noise = np.random.default_rng(seed).normal(size=(n, 12)) / np.sqrt(
        1 + np.arange(12)
    )
    return CENTRES[scores] + spread * noise + shift, scores


def row_of(n, i, deals, *model):
    """The comparison of a reference i with a set of a model, by scores."""
    (real, p), (fake, q) = matched(n, [0, i]), matched(n, [1, i], *model)
    return compare(real, fake, i, n=deals, labels=(p, q))


@pytest.mark.parametrize(
    ("n", "repeats", "deals"), [(48, 40, 12), (182, 12, 10)], ids=["48", "182"]
)
@pytest.mark.parametrize("model", [(1.0, 0.0), (0.9, 0.1)], ids=["alike", "apart"])
def test_intervals_cover_the_mean_of_every_column(n, repeats, deals, model):
    found = [in_range(row_of(n, i, deals, *model).row(), n) for i in range(repeats)]
    rows = np.array([list(row.values()) for row in found])
    value, low, high = rows.transpose(2, 0, 1)
    covered = (low <= value.mean(axis=0)) & (value.mean(axis=0) <= high)
    assert covered.mean(axis=0).min() > 0.95 - 3.5 * np.sqrt(0.95 * 0.05 / repeats)
    assert 0.9 <= covered.mean() <= 0.99
    width = (high - low).mean(axis=0) / value.std(axis=0)
    assert np.median(width) < 2 * 1.96 * 1.5  # they cover, but not by being wide


def test_the_interval_of_a_difference_is_that_of_paired_draws():
    """Two models against one reference: narrower than from two rows, and it covers."""
    gaps, apart = [], []
    for i in range(40):
        real, p = matched(48, [0, i])
        sets = [matched(48, [j, i], 0.7, shift) for j, shift in ((1, 0.3), (2, 0.4))]
        one, other = (compare(real, x, i, n=12, labels=(p, q)) for x, q in sets)
        gaps.append(list(one.minus(other).row().values()))
        both = one.row(), other.row()
        apart.append([difference(*(row[c] for row in both)) for c in BETWEEN_SETS])
    value, low, high = np.array(gaps).transpose(2, 0, 1)
    mean = value.mean(axis=0)
    assert ((low <= mean) & (mean <= high)).mean(axis=0).min() >= 0.85
    assert ((low <= mean) & (mean <= high)).mean() >= 0.93
    wide = np.array(apart)
    paired, alone = (
        (high - low).mean(axis=0),
        (wide[..., 2] - wide[..., 1]).mean(axis=0),
    )
    ratio = dict(zip(BETWEEN_SETS, paired / alone))
    assert all(ratio[c] < 0.95 for c in ("FID ↓", "KID ↓", "IP ↑", "Density ↑")), ratio
    assert max(ratio.values()) < 1.05


def test_a_difference_has_no_lower_end_of_its_own():
    """KID of one comparison is bounded by its own variance, a difference is not."""
    row, same = row_of(48, 0, 8, 0.8, 0.3), row_of(48, 1, 8, 0.8, 0.3)
    value, low, high = row.row()["KID ↓"]
    assert value - low < high - value
    value, low, high = row.minus(same).row()["KID ↓"]
    assert value - low == pytest.approx(high - value)
    assert isinstance(row.row()["KID ↓"], Interval)
