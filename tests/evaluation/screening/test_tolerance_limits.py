"""Limits fail the stated share of real skulls, in the tails that are wrong."""

import numpy as np
import pytest

from skfm_lib.evaluation.screening.tolerance_limits import (
    Limits,
    Measure,
    folds,
    set_limits,
)
from skfm_lib.utils.errors import SkfmError

COUNTS = {2: 167, 3: 212, 4: 154, 5: 155, 6: 38}  # the paper's training set
MEASURES = (
    Measure("a", "mm", "high", least=0.1),
    Measure("b", "mm", "low", least=0.1),
    Measure("c", "mm", "both", least=0.1),
    Measure("d", "mm", "high", least=0.1, scores=(5, 6)),
)
CENTRES = np.array([[0, 0, 10, np.nan]] * 3 + [[5, -3, 20, 1]] * 2)
SPREADS = np.array([1.0, 2.0, 3.0, 3.0, 0.5])


def population(counts, seed):
    """Normal values whose mean and spread depend on the score."""
    rng = np.random.default_rng(seed)
    scores = np.repeat(list(counts), list(counts.values()))
    rows = scores - 2
    noise = rng.normal(size=(len(scores), len(MEASURES)))
    return CENTRES[rows] + SPREADS[rows, None] * noise, scores


@pytest.fixture(scope="module")
def limits():
    return set_limits(*population(COUNTS, 0), MEASURES, 0.01, seed=0)


def test_the_share_is_stated_as_it_is(limits):
    n, teeth = sum(COUNTS.values()), COUNTS[5] + COUNTS[6]
    ones = [7 / (n + 1), 7 / (n + 1), 6 / (n + 1), 1 / (teeth + 1)]
    assert limits.share == pytest.approx(ones)


def test_fresh_skulls_fail_in_the_stated_share():
    """Averaged over training sets: one set's share is itself a chance value."""
    many = {q: 10 * n for q, n in COUNTS.items()}
    fresh, predicted = population(many, 99)
    shares = []
    for seed in range(20):
        found = set_limits(*population(COUNTS, seed), MEASURES, 0.01, seed)
        beyond = found.excess(fresh, predicted) > 0
        taken = np.isfinite(fresh)
        shares.append(beyond.sum(axis=0) / taken.sum(axis=0))
    mean, error = np.mean(shares, axis=0), np.std(shares, axis=0) / np.sqrt(20)
    assert (np.abs(mean - found.share) < 4 * error + 0.002).all()


def test_only_the_wrong_tails_fail(limits):
    centre = CENTRES[3:4]
    for column, (low, high) in enumerate([(0, 1), (1, 0), (1, 1), (0, 1)]):
        for sign, expected in ((-1, low), (1, high)):
            value = centre.copy()
            value[0, column] += sign * 100
            beyond = limits.excess(value, np.array([5]))[0] > 0
            assert beyond.tolist() == [bool(expected) and c == column for c in range(4)]


def test_a_measure_that_does_not_apply_fails_nothing(limits):
    excess = limits.excess(np.full((2, 4), np.nan), np.array([2, 6]))
    assert (excess == -np.inf).all()


def test_excess_is_in_spreads_of_the_score(limits):
    value = limits.high[3:4].copy() + 2 * limits.spread[3:4]
    assert limits.excess(value, np.array([5]))[0, [0, 2, 3]] == pytest.approx([2] * 3)


def test_units_do_not_matter():
    values, scores = population(COUNTS, 1)
    one = set_limits(values, scores, MEASURES, 0.01, 0)
    ten = set_limits(10 * values + 3, scores, MEASURES, 0.01, 0)
    assert np.allclose(ten.high, 10 * one.high + 3, equal_nan=True)
    assert np.allclose(ten.low, 10 * one.low + 3, equal_nan=True)


def test_one_hole_among_skulls_without_sets_the_limit_at_its_size():
    """Folds without it have no spread: the limit must not be counted in those."""
    values, scores = np.zeros((100, 1)), np.repeat([2, 5], 50)
    values[7] = 40.0
    found = set_limits(values, scores, MEASURES[:1], 0.01, 0)
    assert found.high[0] == pytest.approx(40, rel=0.1) and 0 < found.high[1] < 40
    equal = set_limits(np.zeros((100, 1)), scores, MEASURES[:1], 0.01, 0)
    assert (equal.high == 0).all() and (equal.spread == MEASURES[0].least).all()


def test_what_is_tolerated_is_no_failure_of_the_most_perfect_population():
    values, scores = np.zeros((100, 1)), np.repeat([2, 5], 50)
    measure = Measure("holes", "cm²", "high", least=1, tolerated=1.5)
    found = set_limits(values, scores, [measure], 0.01, 0)
    assert (found.high == 1.5).all()
    wide = set_limits(values + 3, scores, [measure], 0.01, 0)
    assert (wide.high == 3).all()  # a population's own limit, where it is higher


def test_few_skulls_give_wide_limits_and_state_it():
    small = {2: 4, 3: 4, 5: 4}
    found = set_limits(*population(small, 0), MEASURES, 0.01, 0)
    assert isinstance(found, Limits)
    assert found.share[0] == pytest.approx(1 / 13)


def test_every_skull_is_left_out_once_and_scores_are_spread():
    _, scores = population(COUNTS, 0)
    masks = np.array(list(folds(scores, 0)))
    assert (masks.sum(axis=0) == 1).all()
    for score, n in COUNTS.items():
        per_fold = masks[:, scores == score].sum(axis=1)
        assert per_fold.max() - per_fold.min() <= 1 and per_fold.sum() == n


@pytest.mark.parametrize(("counts", "share"), [({2: 5, 6: 1}, 0.01), ({2: 5}, 0.0)])
def test_too_few_skulls_or_no_share_are_refused(counts, share):
    with pytest.raises(SkfmError, match="two skulls of every score"):
        set_limits(*population(counts, 0), MEASURES, share, 0)
