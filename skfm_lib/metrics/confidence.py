"""How far a measured number can be trusted."""

import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.stats import binomtest

from skfm_lib.utils.errors import SkfmError


class Interval(NamedTuple):
    """A value and the ends of its confidence interval.

    >>> print(Interval(7.351, 6.66, 8.06), Interval(0.34, -0.2, 0.88))
    7.35 (6.66–8.06) 0.34 (-0.2 to 0.88)
    """

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return f"{self.value:.3g}"
        if not math.isfinite(self.low):
            return f"{self.value:.3g} (no interval)"
        to = " to " if self.low < 0 else "–"
        return f"{self.value:.3g} ({self.low:.3g}{to}{self.high:.3g})"


class Share(Interval):
    """An interval of a share of 1, shown in percent.

    >>> print(Share(0.043, 0.021, 0.085))
    4.3 % (2.1–8.5)
    """

    def __str__(self) -> str:
        low, high = (f"{100 * x:.{0 if abs(x) >= 0.1 else 1}f}" for x in self[1:])
        to = " to " if self.low < 0 else "–"
        return f"{100 * self.value:.3g} % ({low}{to}{high})"


def bootstrap(
    statistic: Callable[..., float],
    *sets: Sequence,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of ``statistic(*sets)`` (Efron 1979).

    Each set is drawn anew with replacement along its first axis, independently
    of the others, `n` times.  Right for means and other smooth statistics of
    items that are independent; wrong for nearest neighbours and for the Fréchet
    distance, because a sample drawn twice is its own neighbour and adds no rank:
    there `half_sampling` is right.  Raises SkfmError as `half_sampling` does.
    """
    rng = np.random.default_rng(seed)
    _check(sets, n, level, fewest=2)
    drawn = [
        statistic(*(s[rng.integers(len(s), size=len(s))] for s in sets))
        for _ in range(n)
    ]
    low, high = _quantiles(drawn, level)
    return Interval(float(statistic(*sets)), float(low), float(high))


class Draws(NamedTuple):
    """Values (k,) of the whole sets, and (n, k) of random halves of them."""

    values: np.ndarray
    halves: np.ndarray

    def minus(self, other: "Draws") -> "Draws":
        """The differences, draw by draw: what both owe to a common half cancels."""
        return Draws(self.values - other.values, self.halves - other.halves)

    def intervals(self, level: float = 0.95) -> list[Interval]:
        """An interval for each value: the spread of the halves, around the value.

        It always holds its value, even where all but a few halves are equal.
        """
        spread = self.halves - self.halves.mean(axis=0)
        low, high = _quantiles(spread, level)
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        ends = zip(self.values, self.values + low, self.values + high)
        return [Interval(*map(float, each)) for each in ends]


def half_draws(
    statistic: Callable[..., Sequence[float]],
    *sets: Sequence,
    n: int = 100,
    seed: int = 0,
    paired: bool = False,
) -> Draws:
    """``statistic(*sets)``, of k numbers, for the sets and for `n` random halves.

    The i-th half of the first set depends on its length, `seed` and i only, so that
    draws for one set against several can be subtracted.  `paired` draws the same
    items of every set.  Raises SkfmError for sets of fewer than four items or n < 2.
    """
    _check(sets, n, 0.95, fewest=4)
    values = np.asarray(statistic(*sets), dtype=float)
    with warnings.catch_warnings():  # what there is to say was said of the whole sets
        warnings.simplefilter("ignore")
        halves = [statistic(*_half(sets, [seed, i], paired)) for i in range(n)]
    return Draws(values, np.array(halves, dtype=float))


def half_sampling(
    statistic: Callable[..., float],
    *sets: Sequence,
    n: int = 100,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Interval of ``statistic(*sets)`` from random halves, drawn without replacement.

    The spread of a √n-consistent statistic between halves of a set equals its
    spread between sets (the delete-half jackknife, Shao & Wu 1989), so no
    duplicates and no rescaling are needed.  A half has a larger bias than the
    whole, hence the spread alone is used, around the value of the whole sets:
    the interval speaks of chance, not of the bias at this n.  Near the least value
    of a distance (two sets of one population) it is too wide rather than too narrow.
    Raises SkfmError as `half_draws` does, and for a level outside 0 … 1.
    """
    _check(sets, n, level, fewest=4)
    draws = half_draws(lambda *s: [statistic(*s)], *sets, n=n, seed=seed)
    return draws.intervals(level)[0]


def share(hits: int | np.ndarray, n: int | None = None, level: float = 0.95) -> Share:
    """Share of hits with Wilson's interval for a binomial proportion (Wilson 1927).

    Args:
        hits: their number among `n`, or booleans (n,).
        n: the number of trials.
        level: of confidence.
    """
    if isinstance(hits, np.ndarray):
        hits, n = int(hits.sum()), len(hits)
    ends = binomtest(hits, n).proportion_ci(level, method="wilson")
    return Share(hits / n, float(ends.low), float(ends.high))


Kind = TypeVar("Kind", bound=Interval)


def difference(a: Kind, b: Interval) -> Kind:
    """Interval of a − b from those of two independent estimates.

    The distances from value to end add in quadrature, on each side (Zou & Donner
    2008); for symmetric intervals this is the usual sum of variances.
    """
    value = a.value - b.value
    down = np.hypot(a.value - a.low, b.high - b.value)
    up = np.hypot(a.high - a.value, b.value - b.low)
    return type(a)(value, float(value - down), float(value + up))


def pair_mean(
    values: Sequence[float],
    first: Sequence[int],
    second: Sequence[int],
    level: float = 0.95,
) -> Interval:
    """Mean of `values` of pairs of items, knowing that pairs share items.

    values         one a pair
    first, second  the items of each pair

    The dyadic cluster-robust variance (Fafchamps & Gubert 2007): residuals of pairs
    with a common item are correlated, all others are not.  Taking the pairs as
    independent makes intervals too narrow, the more so the more pairs an item is
    in.  The interval is the normal one.  Raises SkfmError for fewer than 2 pairs.
    """
    values = np.asarray(values, dtype=float)
    if len(values) < 2 or not 0 < level < 1:
        raise SkfmError(
            f"{len(values)} pair(s), level = {level}", "2 or more, 0 < level < 1"
        )
    mean, residuals = values.mean(), values - values.mean()
    items = np.concatenate([first, second])
    of_item = np.bincount(items, weights=np.concatenate([residuals, residuals]))
    own = np.sum(residuals**2)  # counted with either item, hence once too often
    variance = max(np.sum(of_item**2) - own, own) / len(values) ** 2
    reach = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(variance)
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def _half(
    sets: Sequence[Sequence], seed: Sequence[int], paired: bool
) -> Iterator[Sequence]:
    rng = np.random.default_rng(seed)
    shared = rng.permutation(len(sets[0]))
    for place, items in enumerate(sets):
        order = rng.permutation(len(items)) if place and not paired else shared
        yield items[order[: len(items) // 2]]


def _quantiles(drawn: Sequence[float], level: float) -> tuple[np.ndarray, np.ndarray]:
    low, high = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def _check(sets: Sequence[Sequence], n: int, level: float, fewest: int) -> None:
    if n < 2 or not 0 < level < 1:
        raise SkfmError(f"n = {n}, level = {level}", "n ≥ 2 and 0 < level < 1")
    sizes = [len(s) for s in sets]
    if not sizes or min(sizes) < fewest:
        raise SkfmError(
            f"sets of {sizes} items", f"at least {fewest} in each", "add samples"
        )
