"""The measures against their definitions, item by item."""

from itertools import combinations, product

import numpy as np
import pytest

from skfm_lib.evaluation.privacy.measures import (
    Side,
    authentic,
    chance_of_closer,
    closer_to_training,
    limits,
    neighbour_ratio,
)
from skfm_lib.metrics import share as wilson
from skfm_lib.utils.errors import SkfmError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def line(a, b):
    return np.abs(a[:, None] - b[None])


def test_neighbour_ratio_is_the_definition(rng):
    apart = rng.random((7, 5))
    expected = [sorted(row)[0] / sorted(row)[1] for row in apart]
    assert neighbour_ratio(apart) == pytest.approx(expected)
    twins = np.array([[0.0, 0, 3], [0, 2, 3]])
    assert neighbour_ratio(twins).tolist() == [1, 0]


def test_one_training_skull_has_no_second():
    for apart in (np.ones((2, 1)), np.array([[1.0, np.inf]])):
        with pytest.raises(SkfmError, match="fewer than two"):
            neighbour_ratio(apart)


def test_authenticity_is_the_definition(rng):
    train, samples = rng.normal(size=(9, 2)), rng.normal(size=(30, 2))
    far = lambda a, b: np.linalg.norm(a - b)  # noqa: E731
    expected = []
    for y in samples:
        star = min(range(9), key=lambda i: far(train[i], y))
        to_other = min(far(train[star], train[j]) for j in range(9) if j != star)
        expected.append(to_other < far(train[star], y))
    to_train = np.linalg.norm(samples[:, None] - train, axis=2)
    within = np.linalg.norm(train[:, None] - train, axis=2)
    assert authentic(to_train, within).tolist() == expected
    assert 0 < sum(expected) < 30
    assert (within.diagonal() == 0).all()  # the caller's distances are left alone


@pytest.mark.parametrize(("dimension", "share"), [(1, 1 / 3), (2, 0.38), (8, 0.58)])
def test_fresh_samples_have_the_known_authenticity(rng, dimension, share):
    found = []
    for _ in range(8):
        train, fresh = rng.normal(size=(2, 700, dimension))
        to_train = np.linalg.norm(fresh[:, None] - train, axis=2)
        within = np.linalg.norm(train[:, None] - train, axis=2)
        found.append(authentic(to_train, within).mean())
        assert not authentic(within, within).any()  # exact copies
    assert np.mean(found) == pytest.approx(share, abs=0.03)


def test_limits_are_order_statistics_per_score():
    nearest, quality = np.arange(1.0, 46), np.repeat([2, 5], [39, 6])
    limit, rate = limits(nearest, quality, np.array([5, 2]), 0.05)
    assert limit.tolist() == [40, 2]  # the first of QS 5's, the second of QS 2's
    assert rate.tolist() == pytest.approx([1 / 7, 2 / 40])


@pytest.mark.parametrize("sizes", [(4, 2, 3, 3), (5, 3, 2, 1), (2, 3, 4, 2)])
def test_closer_to_training_is_the_mean_over_all_subsets(rng, sizes):
    n2, m2, n5, m5 = sizes
    train_quality, holdout_quality = (
        np.repeat([2, 5], [n2, n5]),
        np.repeat([2, 5], [m2, m5]),
    )
    samples, train = rng.integers(9, size=(6, 1)), rng.integers(9, size=(1, n2 + n5))
    holdout = rng.integers(9, size=(1, m2 + m5))  # integers tie
    to_train, to_holdout = np.abs(samples - train), np.abs(samples - holdout)
    kept = [*range(min(n2, m2)), *(m2 + i for i in range(min(n5, m5)))]
    closest, expected = to_holdout[:, kept].min(axis=1), []
    twos = combinations(range(n2), min(n2, m2))
    fives = combinations(range(n2, n2 + n5), min(n5, m5))
    for two, five in product(twos, fives):
        near = to_train[:, [*two, *five]].min(axis=1)
        expected.append((near < closest) + 0.5 * (near == closest))
    sides = Side(to_train, train_quality), Side(to_holdout, holdout_quality)
    found = closer_to_training(*sides)
    assert found == pytest.approx(np.mean(expected, axis=0))
    assert (found != 0.5).any()


def test_relabelling_covers_what_the_binomial_interval_does_not(rng):
    ones = lambda n: np.full(n, 4)  # noqa: E731
    inside, binomial, runs = 0, 0, 40
    for seed in range(runs):
        train, holdout, fresh = np.split(rng.normal(size=560), [40, 60])
        sides = [Side(line(fresh, x), ones(len(x))) for x in (train, holdout)]
        share = closer_to_training(*sides).mean()
        chance = chance_of_closer(*sides, seed=seed)
        inside += chance.low <= share <= chance.high
        exact = wilson(round(500 * share), 500)
        binomial += exact.low <= 0.5 <= exact.high
    assert inside >= 0.85 * runs and binomial < 0.7 * runs  # 95 % is stated


def test_wilson_is_its_formula():
    z, hits, n = 1.959963984540054, 3, 20
    p = hits / n
    middle = (p + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    assert wilson(hits, n) == pytest.approx((p, middle - reach, middle + reach))
    none = wilson(0, 50)
    assert none.value == none.low == 0 and 0.05 < none.high < 0.08
