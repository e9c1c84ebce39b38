"""Intervals have the width that theory gives them."""

import numpy as np
import pytest

from skfm_lib.metrics import (
    bootstrap,
    bounded,
    difference,
    pair_mean,
    paired_difference,
    random_pairs,
    share,
    squared_distance,
)
from skfm_lib.metrics.confidence import Interval
from skfm_lib.utils.errors import SkfmError


def test_width_for_a_mean_is_that_of_the_normal_law():
    x = np.random.default_rng(0).normal(size=400)
    value, low, high = bootstrap(np.mean, x, n=2000)
    assert value == pytest.approx(x.mean())
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert low < value < high


def test_two_sets_add_their_variances():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), 2 * rng.normal(size=200)
    _, low, high = bootstrap(lambda a, b: a.mean() - b.mean(), x, y, n=2000)
    error = np.sqrt(x.var() / 300 + y.var() / 200)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_same_seed_same_interval_and_levels_nest():
    x = np.random.default_rng(3).normal(size=50)
    assert bootstrap(np.mean, x, seed=4) == bootstrap(np.mean, x, seed=4)
    assert bootstrap(np.mean, x, seed=4) != bootstrap(np.mean, x, seed=5)
    wide, narrow = bootstrap(np.mean, x, level=0.99), bootstrap(np.mean, x, level=0.5)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_differences_of_independent_estimates():
    found = difference(Interval(3.0, 2.7, 3.4), Interval(1.0, 0.7, 1.4))
    assert found == pytest.approx((2.0, 2 - 0.5, 2 + 0.5))


@pytest.mark.parametrize("pairs", [60, 300])
def test_pairs_that_share_items_are_not_independent(pairs):
    """Values of pairs from effects of their items: the spread over populations."""
    rng, means, widths, naive = np.random.default_rng(8), [], [], []
    for draw in range(400):
        first, second = random_pairs(40, pairs, draw)
        effect = rng.normal(size=40)
        values = effect[first] + effect[second] + 0.5 * rng.normal(size=pairs)
        mean, low, high = pair_mean(values, first, second)
        means.append(mean)
        widths.append((high - low) / (2 * 1.96))
        naive.append(values.std() / np.sqrt(pairs))
    assert np.mean(widths) == pytest.approx(np.std(means), rel=0.12)
    assert np.mean(naive) < 0.8 * np.std(means)


def test_pairs_without_common_items_are_independent():
    values = np.random.default_rng(9).normal(size=50)
    found = pair_mean(values, np.arange(0, 100, 2), np.arange(1, 100, 2))
    assert found.high - found.low == pytest.approx(
        2 * 1.96 * values.std() / 50**0.5, rel=1e-3
    )
    with pytest.raises(SkfmError, match="1 pair"):
        pair_mean(np.ones(1), np.zeros(1, int), np.ones(1, int))


def test_an_interval_prints_itself():
    assert str(Interval(0.12345, 0.1, 0.2)) == "0.123 (0.1–0.2)"
    assert str(Interval(0.059, 0.059, 0.059)) == "0.059"
    assert str(Interval(1.0, -np.inf, np.inf)) == "1 (no interval)"
    assert str(share(np.ones(40, bool))) == "100 % (91–100)"


@pytest.mark.parametrize(
    "items, settings", [(1, {}), (50, {"n": 1}), (50, {"level": 1.0})]
)
def test_bad_input_is_named(items, settings):
    with pytest.raises(SkfmError):
        bootstrap(np.mean, np.zeros(items), **settings)


def test_what_has_no_interval_is_named():
    gaps, pair = np.array([0.0, np.nan, 1.0]), np.arange(3)
    with pytest.raises(SkfmError, match="set 2 holds NaN"):
        bootstrap(lambda a, b: a.mean() - b.mean(), np.arange(3.0), gaps)
    with pytest.raises(SkfmError, match="a finite value and two items"):
        pair_mean(gaps, pair, pair + 1)
    with pytest.raises(SkfmError, match="2 values of 3 and 3 items"):
        pair_mean(gaps[::2], pair, pair + 1)
    for value, high in ((np.nan, 1.0), (0.5, np.nan), (0.5, 0.4)):
        with pytest.raises(SkfmError, match="a finite interval"):
            bounded(Interval(value, 0.0, high), 0, 1, 20)
    for hits, n in ((3, 2), (-1, 5), (0, 0)):
        with pytest.raises(SkfmError, match=f"{hits} hits in {n} trials"):
            share(hits, n)
    with pytest.raises(SkfmError, match="0 hits in 0 trials"):
        share(np.zeros(0, bool))


def test_the_lower_end_of_a_squared_distance_has_the_variance_of_that_distance():
    value, linear, quadratic = 3.0, 0.5, 0.2
    _, low, high = squared_distance(value, linear, quadratic)
    assert high == pytest.approx(value + 1.959964 * np.sqrt(0.7))
    assert value - low == pytest.approx(
        1.959964 * np.sqrt(quadratic + linear * low / value)
    )
    for below in (-0.5, 0.4):  # a distance of 0 is possible: no linear part there
        _, low, _ = squared_distance(below, linear, quadratic)
        assert low == pytest.approx(below - 1.959964 * np.sqrt(quadratic))


def test_a_share_has_wilsons_interval_for_its_own_reach():
    reach = 1.959964 * np.sqrt(0.3 * 0.7 / 200)
    found = bounded(Interval(0.3, 0.3 - reach, 0.3 + reach), 0, 1, n=7)
    assert found == pytest.approx(share(60, 200), abs=1e-6)
    assert bounded(Interval(1.0, 1.0, 1.0), 0, 1, n=40) == pytest.approx(share(40, 40))
    assert bounded(Interval(0.0, 0.0, 0.0), 0, 1, n=40) == pytest.approx(share(0, 40))


@pytest.mark.parametrize("most", [1, np.inf])
@pytest.mark.parametrize("value", [0.0, 1e-12, 0.5, 1 - 1e-12, 1.0, 1 + 1e-9])
@pytest.mark.parametrize("reach", [0.0, 1e-15, 0.1, 3.0])
def test_no_interval_leaves_the_range_or_its_value(value, reach, most):
    found = bounded(Interval(value, value - reach, value + reach), 0, most, 20)
    assert 0 <= found.low <= found.value <= found.high <= most
    assert found.value == pytest.approx(value)


def test_a_metric_without_limits_keeps_its_interval_and_others_are_named():
    found = Interval(-0.1, -0.3, 0.1)
    assert bounded(found, -np.inf, np.inf, 20) == found
    for least, most in ((0, 1), (0, np.inf), (-1, 1)):
        with pytest.raises(SkfmError, match="a value in 0 … 1 or 0 … ∞"):
            bounded(found, least, most, 20)


@pytest.mark.parametrize(("p", "q"), [(0.8, 0.1), (0.12, 0.06), (0.02, 0.02)])
@pytest.mark.parametrize("both", [0.0, 0.5])
def test_paired_differences_are_covered(p, q, both):
    """Of pairs that a share `both` of the time have one common cause."""
    rng, n, held = np.random.default_rng(0), 91, []
    for _ in range(1000):
        u, v, same = rng.random((3, n))
        other = np.where(same < both, u, v)
        _, low, high = paired_difference(u < p, other < q)
        held.append(low <= p - q <= high)
    assert 0.935 < np.mean(held) <= 1


def test_only_pairs_that_differ_count():
    a, b = np.arange(91) < 40, np.arange(91) < 30
    alone = paired_difference(a, b)
    shuffled = paired_difference(a, np.random.default_rng(0).permutation(b))
    assert alone.value == shuffled.value == pytest.approx(10 / 91)
    assert alone.high - alone.low < 0.7 * (shuffled.high - shuffled.low)
    turned = paired_difference(b, a)
    assert turned.low == pytest.approx(-alone.high)
    every = paired_difference(np.ones(5, bool), np.zeros(5, bool))
    assert every.value == every.high == 1 and every.low < 1


@pytest.mark.parametrize("lengths", [(0, 0), (3, 4)])
def test_trials_without_a_pair_are_refused(lengths):
    with pytest.raises(SkfmError, match="hits; expected equally many"):
        paired_difference(*(np.zeros(n, bool) for n in lengths))
