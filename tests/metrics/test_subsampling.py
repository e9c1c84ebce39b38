"""Intervals from dealt sets have the width that theory and simulation give."""

import numpy as np
import pytest

from skfm_lib.metrics import (
    Draws,
    bounded,
    deal_draws,
    frechet_distance,
    kernel_distance,
    squared_distance,
)
from skfm_lib.utils.errors import SkfmError


def interval(statistic, *sets, level=0.95, **settings):
    """The interval of one number from dealt sets."""
    draws = deal_draws(lambda *s: [statistic(*s)], *sets, **settings)
    return draws.intervals(level)[0]


def test_width_for_a_mean_is_that_of_the_normal_law():
    x = np.random.default_rng(0).normal(size=400)
    value, low, high = interval(np.mean, x, n=1000)
    assert value == pytest.approx(x.mean())
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert low < value < high
    halved = deal_draws(lambda s: [s.mean()], x, n=1000).halved_variance()
    assert halved == pytest.approx(x.var() / 400, rel=0.1)


def test_two_sets_add_their_variances():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), 2 * rng.normal(size=200)
    gap = lambda a, b: a.mean() - b.mean()  # noqa: E731
    _, low, high = interval(gap, x, y, n=1000)
    error = np.sqrt(x.var() / 300 + y.var() / 200)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


def test_a_label_dealt_evenly_adds_no_variance():
    rng, labels = np.random.default_rng(2), np.repeat([0, 1, 2], [40, 80, 80])
    x = rng.normal(size=200) + 10 * labels
    _, low, high = interval(np.mean, x, n=500, labels=[labels])
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.15)


@pytest.mark.parametrize("shift", [0.0, 0.7])
def test_halves_cover_distances_also_at_their_least_value(shift):
    """At shift 0, where plain half-sampling is 1.7 times too wide and covers 100 %."""
    rng, found = np.random.default_rng(3), []
    both = lambda a, b: [frechet_distance(a, b), kernel_distance(a, b)]  # noqa: E731
    for i in range(100):
        sets = rng.normal(size=(2, 48, 6)) + [[[0]], [[shift]]]
        draws = deal_draws(both, *sets, seed=i)
        frechet, kernel = draws.intervals()
        parts = [part[1] for part in draws.components()]
        found.append(
            [
                bounded(frechet, 0, np.inf, 48),
                squared_distance(kernel[0], *parts, draws.quantile()),
            ]
        )
    value, low, high = np.array(found).transpose(2, 0, 1)
    covered = np.mean(
        (low <= value.mean(axis=0)) & (value.mean(axis=0) <= high), axis=0
    )
    assert 0.88 <= covered.min() and covered.max() <= 0.99  # of 100: ± 2 %
    assert low[:, 0].min() >= 0 and (low[:, 1].min() < 0) == (shift == 0)


def test_the_parts_of_a_distances_variance_are_those_of_theory():
    """The squared distance of two means in d dimensions, without bias."""
    rng, n, d, shift = np.random.default_rng(4), 30, 5, 0.5

    def distance(a, b):
        gap = a.mean(axis=0) - b.mean(axis=0)
        return [gap @ gap - sum(s.var(axis=0, ddof=1).sum() / len(s) for s in (a, b))]

    found = [
        deal_draws(
            distance, *rng.normal(size=(2, n, d)) + [[[0]], [[shift]]], seed=i, n=30
        )
        for i in range(100)
    ]
    values = np.array([draws.values[0] for draws in found])
    spread = np.array([draws.components() for draws in found])[..., 0].T
    each = 2 / n  # the variance of the difference of means, an axis
    assert np.mean(spread[1]) == pytest.approx(2 * d * each**2, rel=0.1)
    assert np.mean(spread[0]) == pytest.approx(4 * d * shift**2 * each, rel=0.15)
    assert np.mean(spread.sum(axis=0)) == pytest.approx(values.var(), rel=0.15)


def test_halves_of_shares_are_scaled_to_the_complete_set():
    parts = np.array([[[0.4, 0.4], [0.6, 0.6]], [[0.45, 0.45], [0.55, 0.55]]])
    draws = Draws(np.array([0.9, 0.9]), parts).as_shares(np.array([1]))
    assert draws.halved_variance() == pytest.approx(
        [0.0125 / 4 * 2, 0.0125 / 4 * 2 * 0.09 / 0.25]
    )
    assert draws.parts[..., 0] == pytest.approx(parts[..., 0])
    alike = Draws(np.ones(1), np.ones((2, 2, 1))).as_shares(np.array([0]))
    assert alike.halved_variance() == 0


def test_same_seed_same_interval_and_levels_nest():
    x = np.random.default_rng(5).normal(size=50)
    first, *others = (interval(np.std, x, seed=s) for s in (4, 4, 5))
    assert first == others[0] != others[1]
    wide, narrow = (interval(np.std, x, level=p) for p in (0.99, 0.5))
    assert wide.low < narrow.low < narrow.high < wide.high


def test_several_numbers_at_once_are_as_one_by_one():
    x = np.random.default_rng(5).normal(size=60)
    both = deal_draws(lambda s: (s.mean(), s.std()), x, seed=6).intervals()
    assert both[0] == pytest.approx(interval(np.mean, x, seed=6))
    assert both[1] == pytest.approx(interval(np.std, x, seed=6))


def test_what_two_sets_owe_to_a_common_half_cancels():
    """Against one reference, a set and the same shifted: the gap is known exactly."""
    rng = np.random.default_rng(10)
    real, fake = rng.normal(size=80), rng.normal(size=80)
    gap = lambda a, b: [b.mean() - a.mean()]  # noqa: E731
    near = deal_draws(gap, real, fake, seed=11)
    far = deal_draws(gap, real, fake + 3, seed=11)
    value, low, high = far.minus(near).intervals()[0]
    assert (value, low, high) == pytest.approx((3, 3, 3))
    other = deal_draws(gap, real, rng.normal(size=80), seed=11).minus(near)
    _, low, high = other.intervals()[0]
    assert high - low == pytest.approx(2 * 1.96 * (2 / 80) ** 0.5, rel=0.25)


def test_a_distance_is_linear_or_quadratic_by_its_halves():
    """Of one deal into halves: opposite values are linear, equal ones are not."""
    linear = Draws(np.zeros(1), np.array([[[-1.0], [1.0]]]))
    assert np.array(linear.components()) == pytest.approx(np.array([[1], [0]]))
    square = Draws(np.zeros(1), np.array([[[1.0], [1.0]], [[-1.0], [-1.0]]]))
    assert np.array(square.components()) == pytest.approx(np.array([[0], [1]]))


def test_paired_sets_are_dealt_together():
    x = np.arange(10.0)
    gap = lambda a, b: [np.abs(a - b).max()]  # noqa: E731
    assert deal_draws(gap, x, x, seed=12, paired=True).parts.max() == 0
    assert deal_draws(gap, x, x, seed=12).parts.max() > 0


def test_few_samples_are_warned_of_once_and_of_the_whole_sets():
    x, y = np.random.default_rng(7).normal(size=(2, 20, 30))
    with pytest.warns(UserWarning) as caught:
        interval(frechet_distance, x, y, n=5)
    assert [str(w.message)[:26] for w in caught] == ["20 samples for 30 features"]


@pytest.mark.parametrize(
    "items, settings",
    [(3, {}), (50, {"n": 1}), (50, {"level": 1.0})],
)
def test_bad_input_is_named(items, settings):
    with pytest.raises(SkfmError):
        interval(np.mean, np.zeros(items), **settings)
