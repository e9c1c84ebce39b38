"""Intervals from dealt sets have the width that theory and simulation give."""

import numpy as np
import pytest

from skfm_lib.metrics import (
    HALVES,
    QUARTERS,
    Draws,
    bounded,
    deal_draws,
    frechet_distance,
    improved_precision_recall,
    kernel_distance,
)
from skfm_lib.utils.errors import SkfmError


def interval(statistic, *sets, level=0.95, **settings):
    """The interval of one number from dealt sets."""
    draws = deal_draws(lambda *s: [statistic(*s)], *sets, **settings)
    return draws.intervals(level)[0]


BOTH = pytest.mark.parametrize("hands", [HALVES, QUARTERS])


@BOTH
def test_width_for_a_mean_is_that_of_the_normal_law(hands):
    x = np.random.default_rng(0).normal(size=400)
    value, low, high = interval(np.mean, x, hands=hands, n=1000)
    assert value == pytest.approx(x.mean())
    assert high - low == pytest.approx(2 * 1.96 * x.std() / 20, rel=0.1)
    assert low < value < high


@BOTH
def test_two_sets_add_their_variances(hands):
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=300), 2 * rng.normal(size=200)
    gap = lambda a, b: a.mean() - b.mean()  # noqa: E731
    _, low, high = interval(gap, x, y, hands=hands, n=1000)
    error = np.sqrt(x.var() / 300 + y.var() / 200)
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.1)


@BOTH
def test_a_label_dealt_evenly_adds_no_variance(hands):
    rng, labels = np.random.default_rng(2), np.repeat([0, 1, 2], [40, 80, 80])
    x = rng.normal(size=200) + 10 * labels
    _, low, high = interval(np.mean, x, hands=hands, n=500, labels=[labels])
    assert high - low == pytest.approx(2 * 1.96 / np.sqrt(200), rel=0.15)


def coverage(statistic, draw, sets, **settings):
    """Share of sets whose interval holds the mean of the statistic over all sets."""
    found = [interval(statistic, *draw(), seed=i, **settings) for i in range(sets)]
    value, low, high = np.array(found).T
    return np.mean((low <= value.mean()) & (value.mean() <= high))


@pytest.mark.parametrize("shift", [0.0, 0.7])
@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_halves_cover_a_distance_also_at_its_least_value(distance, shift):
    """At shift 0, where plain half-sampling is 1.7 times too wide and covers 100 %."""
    rng = np.random.default_rng(3)
    draw = lambda: rng.normal(size=(2, 48, 6)) + [[[0]], [[shift]]]  # noqa: E731
    assert 0.88 <= coverage(distance, draw, 120, n=12) <= 0.99


@pytest.mark.parametrize("side", [0, 1])
def test_quarters_cover_a_share_in_its_range(side):
    rng = np.random.default_rng(4)

    def found(seed):
        real, fake = rng.normal(size=(48, 6)), 0.8 * rng.normal(size=(48, 6)) + 0.3
        one = interval(
            lambda a, b: improved_precision_recall(a, b)[side],
            real, fake, hands=QUARTERS, n=4, seed=seed,
        )  # fmt: skip
        return bounded(one, 0, 1, 48)

    value, low, high = np.array([found(seed) for seed in range(120)]).T
    covered = np.mean((low <= value.mean()) & (value.mean() <= high))
    assert 0.9 <= covered and 0 <= low.min() and high.max() <= 1


@BOTH
def test_same_seed_same_interval_and_levels_nest(hands):
    x = np.random.default_rng(5).normal(size=50)
    first, *others = (interval(np.std, x, hands=hands, seed=s) for s in (4, 4, 5))
    assert first == others[0] != others[1]
    wide, narrow = (interval(np.std, x, hands=hands, level=p) for p in (0.99, 0.5))
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


def test_the_variance_lies_between_its_extremes():
    """Of one deal into halves: opposite values are linear, equal ones are not."""
    linear = Draws(np.zeros(1), np.array([[[-1.0], [1.0]]]))
    assert linear.variances() == pytest.approx(1)
    square = Draws(np.zeros(1), np.array([[[1.0], [1.0]], [[-1.0], [-1.0]]]))
    assert square.variances() == pytest.approx(1 / 3)


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
    [(3, {}), (7, {"hands": QUARTERS}), (50, {"n": 1}), (50, {"level": 1.0})],
)
def test_bad_input_is_named(items, settings):
    with pytest.raises(SkfmError):
        interval(np.mean, np.zeros(items), **settings)
