"""Intervals have the width that theory gives them."""

import numpy as np
import pytest

from skfm_lib.metrics import (
    Draws,
    bootstrap,
    difference,
    frechet_distance,
    half_draws,
    pair_mean,
    random_pairs,
    share,
)
from skfm_lib.metrics.confidence import Interval
from skfm_lib.utils.errors import SkfmError


def half_sampling(statistic, *sets, n=100, seed=0, level=0.95):
    """The interval of one number from random halves."""
    draws = half_draws(lambda *s: [statistic(*s)], *sets, n=n, seed=seed)
    return draws.intervals(level)[0]


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


def test_several_numbers_at_once_are_as_one_by_one():
    x = np.random.default_rng(5).normal(size=60)
    both = half_draws(lambda s: (s.mean(), s.std()), x, seed=6).intervals()
    assert both[0] == pytest.approx(half_sampling(np.mean, x, seed=6))
    assert both[1] == pytest.approx(half_sampling(np.std, x, seed=6))


def test_what_two_sets_owe_to_a_common_half_cancels():
    """Against one reference, a set and the same shifted: the gap is known exactly."""
    rng = np.random.default_rng(10)
    real, fake = rng.normal(size=80), rng.normal(size=80)
    gap = lambda a, b: [b.mean() - a.mean()]  # noqa: E731
    near = half_draws(gap, real, fake, seed=11)
    far = half_draws(gap, real, fake + 3, seed=11)
    value, low, high = far.minus(near).intervals()[0]
    assert (value, low, high) == pytest.approx((3, 3, 3))
    other = half_draws(gap, real, rng.normal(size=80), seed=11).minus(near)
    _, low, high = other.intervals()[0]
    assert high - low == pytest.approx(2 * 1.96 * (2 / 80) ** 0.5, rel=0.25)


def test_an_interval_holds_its_value_however_skewed_the_draws():
    draws = Draws(np.array([1.0]), np.array([[1.0]] * 99 + [[0.0]]))
    (found,) = draws.intervals()
    assert found.low <= found.value <= found.high


def test_paired_sets_are_drawn_together():
    x = np.arange(10.0)
    same = half_draws(lambda a, b: [np.abs(a - b).max()], x, x, seed=12, paired=True)
    assert same.halves.max() == 0
    apart = half_draws(lambda a, b: [np.abs(a - b).max()], x, x, seed=12)
    assert apart.halves.min() > 0


def test_differences_of_independent_estimates():
    found = difference(Interval(3.0, 2.7, 3.4), Interval(1.0, 0.7, 1.4))
    assert found == pytest.approx((2.0, 2 - 0.5, 2 + 0.5))


def test_few_samples_are_warned_of_once_and_of_the_whole_sets():
    x, y = np.random.default_rng(7).normal(size=(2, 20, 30))
    with pytest.warns(UserWarning) as caught:
        half_sampling(frechet_distance, x, y, n=5)
    assert [str(w.message)[:26] for w in caught] == ["20 samples for 30 features"]


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


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    "items, settings", [(1, {}), (50, {"n": 1}), (50, {"level": 1.0})]
)
def test_bad_input_is_named(method, items, settings):
    with pytest.raises(SkfmError):
        method(np.mean, np.zeros(items), **settings)
