"""Confidence intervals of measured values."""

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
    """An interval of a share of 1, printed in percent.

    >>> print(Share(0.043, 0.021, 0.085))
    4.3 % (2.1–8.5)
    """

    def __str__(self) -> str:
        low, high = (f"{100 * x:.{0 if abs(x) >= 0.1 else 1}f}" for x in self[1:])
        to = " to " if self.low < 0 else "–"
        return f"{100 * self.value:.3g} % ({low}{to}{high})"


Kind = TypeVar("Kind", bound=Interval)


def bootstrap(
    statistic: Callable[..., float],
    *sets: np.ndarray,
    n: int = 1000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Percentile bootstrap interval of ``statistic(*sets)`` (Efron 1979).

    Each set is resampled `n` times with replacement along its first axis, independently
    of the others.  Valid for means and other smooth statistics of independent items;
    not for nearest neighbours and the Fréchet distance, because duplicates are their
    own neighbours and add no rank: use `half_draws` there.

    Raises:
        SkfmError: for sets of fewer than two items, n < 2 or a level outside 0 … 1.

    >>> print(bootstrap(np.mean, np.arange(100.0)))
    49.5 (43.8–55)
    """
    _check(sets, n, fewest=2)
    rng = np.random.default_rng(seed)
    values = [
        statistic(*(s[rng.integers(len(s), size=len(s))] for s in sets))
        for _ in range(n)
    ]
    low, high = _quantiles(values, level)
    return Interval(float(statistic(*sets)), float(low), float(high))


class Draws(NamedTuple):
    """Values (k,) of complete sets, and (n, k) of random halves of them."""

    values: np.ndarray
    halves: np.ndarray

    def minus(self, other: "Draws") -> "Draws":
        """The differences, half by half: variation from a common half cancels."""
        return Draws(self.values - other.values, self.halves - other.halves)

    def intervals(self, level: float = 0.95) -> list[Interval]:
        """An interval for each value: the spread of the halves, around the value.

        It always contains its value, even where all but a few halves are equal.
        """
        low, high = _quantiles(self.halves - self.halves.mean(axis=0), level)
        low, high = np.minimum(low, 0), np.maximum(high, 0)
        ends = zip(self.values, self.values + low, self.values + high)
        return [Interval(*map(float, each)) for each in ends]


def half_draws(
    statistic: Callable[..., Sequence[float]],
    *sets: np.ndarray,
    n: int = 100,
    seed: int = 0,
    paired: bool = False,
) -> Draws:
    """``statistic(*sets)``, of k numbers, for the sets and for `n` random halves.

    The spread of a √n-consistent statistic between halves of a set, taken without
    replacement, equals its spread between sets (the delete-half jackknife, Shao & Wu
    1989), without duplicates or rescaling.  A half has a larger bias than the complete
    set, so the intervals cover chance, not the bias at this n.  Near the least value of
    a distance (two sets of one population) they are too wide rather than too narrow.

    The i-th half of the first set depends on its length, `seed` and i only, so that
    draws of one set against several can be subtracted; `paired` sets are halved alike.

    Raises:
        SkfmError: for sets of fewer than four items or n < 2.
    """
    _check(sets, n, fewest=4)
    values = np.asarray(statistic(*sets), dtype=float)
    with warnings.catch_warnings():  # already issued for the complete sets
        warnings.simplefilter("ignore")
        halves = [statistic(*_half(sets, [seed, i], paired)) for i in range(n)]
    return Draws(values, np.array(halves, dtype=float))


def share(hits: int | np.ndarray, n: int | None = None) -> Share:
    """Share of hits with Wilson's 95 % interval for a proportion (Wilson 1927).

    `hits` is their number among `n` trials, or an array of booleans, one a trial.

    >>> print(share(3, 40))
    7.5 % (2.6–20)
    """
    count, n = int(np.sum(hits)), np.size(hits) if n is None else n
    ends = binomtest(count, n).proportion_ci(0.95, method="wilson")
    return Share(count / n, float(ends.low), float(ends.high))


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
    values: np.ndarray, first: np.ndarray, second: np.ndarray, level: float = 0.95
) -> Interval:
    """Mean of `values` of pairs of items, given the indices of their two items.

    The normal interval with the dyadic cluster-robust variance (Fafchamps & Gubert
    2007): residuals of pairs with a common item are correlated, all others are not.
    Treating pairs as independent makes intervals too narrow.

    Raises:
        SkfmError: for fewer than two pairs or a level outside 0 … 1.
    """
    if len(values) < 2 or not 0 < level < 1:
        found = f"{len(values)} pair(s), level = {level}"
        raise SkfmError(found, "2 or more, 0 < level < 1")
    mean, residuals = values.mean(), values - values.mean()
    items = np.concatenate([first, second])
    of_item = np.bincount(items, weights=np.concatenate([residuals, residuals]))
    own = np.sum(residuals**2)  # counted with either item, hence once too often
    variance = max(np.sum(of_item**2) - own, own) / len(values) ** 2
    reach = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(variance)
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def _half(
    sets: Sequence[np.ndarray], seed: Sequence[int], paired: bool
) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(seed)
    shared = rng.permutation(len(sets[0]))
    for index, items in enumerate(sets):
        order = rng.permutation(len(items)) if index and not paired else shared
        yield items[order[: len(items) // 2]]


def _quantiles(values: Sequence[float] | np.ndarray, level: float) -> np.ndarray:
    """The two ends of the central `level` of values along their first axis."""
    if not 0 < level < 1:
        raise SkfmError(f"level = {level}", "0 < level < 1")
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)


def _check(sets: Sequence[np.ndarray], n: int, fewest: int) -> None:
    sizes = [len(s) for s in sets]
    if n < 2 or not sizes or min(sizes) < fewest:
        found, expected = (
            f"n = {n}, sets of {sizes} items",
            f"at least {fewest} in each",
        )
        raise SkfmError(found, f"n ≥ 2, {expected}", "add samples")
