"""Confidence intervals of measured values."""

import math
from collections.abc import Callable, Sequence
from statistics import NormalDist
from typing import NamedTuple, TypeVar

import numpy as np
from scipy.stats import binomtest

from skfm_lib.utils.errors import SkfmError

Z95 = NormalDist().inv_cdf(0.975)


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
    own neighbours and add no rank: use `subsampling.deal_draws` there.

    Raises:
        SkfmError: for sets of fewer than two items, NaN and infinity, n < 2 or a level
            outside 0 … 1.

    >>> print(bootstrap(np.mean, np.arange(100.0)))
    49.5 (43.8–55)
    """
    check_sets(sets, n, fewest=2)
    rng = np.random.default_rng(seed)
    values = [
        statistic(*(s[rng.integers(len(s), size=len(s))] for s in sets))
        for _ in range(n)
    ]
    low, high = _quantiles(values, level)
    return Interval(float(statistic(*sets)), float(low), float(high))


def bounded(found: Interval, least: float, most: float, n: int) -> Interval:
    """An interval of equal reach on both sides, fitted to the range of its metric.

    Between 0 and 1 it is Wilson's, for as many items as give that reach, or for `n`
    where the reach is 0 because all items are alike.  From 0 to infinity its lower end
    divides by 1 + reach / value instead of subtracting.  Without limits it stays.

    >>> print(bounded(Interval(2.0, -1.0, 5.0), 0, math.inf, 40))
    2 (0.8–5)
    >>> print(bounded(Interval(0.975, 0.925, 1.025), 0, 1, 40))
    0.975 (0.866–0.996)

    Raises:
        SkfmError: for NaN, a value outside the range, or another range.
    """
    value, reach = found.value, found.high - found.value
    if not (math.isfinite(value) and reach >= 0):
        raise SkfmError(f"{value} with the end {found.high}", "a finite interval")
    if (least, most) == (-math.inf, math.inf):
        return found
    rounded = min(max(value, least), most)
    if least != 0 or most not in (1, math.inf) or abs(value - rounded) > 1e-6:
        raise SkfmError(f"{value} in {least} … {most}", "a value in 0 … 1 or 0 … ∞")
    value = rounded
    if most == math.inf:
        low = value**2 / (value + reach) if value + reach > 0 else 0.0
        return Interval(value, low, value + reach)
    spread = value * (1 - value)
    a = reach**2 / spread if spread * reach > 0 else Z95**2 / n
    centre, half = value + a / 2, math.sqrt(spread * a + a**2 / 4)
    low, high = (centre - half) / (1 + a), (centre + half) / (1 + a)
    return Interval(value, min(max(low, 0.0), value), max(min(high, 1.0), value))


def squared_distance(
    value: float, linear: float, quadratic: float, z: float = Z95
) -> Interval:
    """The interval of a squared distance θ from an unbiased estimate.

    The estimate has the variance ``Q + L θ / value``, by its `quadratic` part Q and its
    `linear` part L, which is proportional to θ and 0 where θ ≤ 0
    (`subsampling.Draws.components`).  The upper end is ``value + z √(Q + L)``; the
    lower one is the θ that lies z standard deviations *of θ itself* below the value,
    as in Wilson's interval of a share.

    >>> print(squared_distance(4.0, 1.0, 0.0))
    4 (2.46–5.96)
    >>> print(squared_distance(0.5, 1.0, 1.0))
    0.5 (-1.46 to 3.27)
    """
    high, from_zero = value + z * math.sqrt(linear + quadratic), z**2 * quadratic
    if value <= 0 or value**2 <= from_zero:
        return Interval(value, value - math.sqrt(from_zero), high)
    half = z**2 * linear / value / 2
    low = value + half - math.sqrt(from_zero + 2 * half * value + half**2)
    return Interval(value, low, high)


def share(hits: int | np.ndarray, n: int | None = None) -> Share:
    """Share of hits with Wilson's 95 % interval for a proportion (Wilson 1927).

    `hits` is their number among `n` trials, or an array of booleans, one a trial.

    Raises:
        SkfmError: without trials, or for another number of hits than 0 … n.

    >>> print(share(3, 40))
    7.5 % (2.6–20)
    """
    count, n = int(np.sum(hits)), np.size(hits) if n is None else n
    if not 0 <= count <= n or n < 1:
        raise SkfmError(f"{count} hits in {n} trials", "0 … n hits in n ≥ 1 trials")
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


def paired_difference(a: np.ndarray, b: np.ndarray) -> Share:
    """Share of hits of `a` minus that of `b`, for n pairs of booleans.

    Only pairs that differ count, as in McNemar's test; the 95 % interval is the
    adjusted Wald interval of Bonett & Price (2012), with a pair of each kind added.

    Raises:
        SkfmError: without pairs, or for another number of `a` than of `b`.

    >>> print(paired_difference(np.arange(40) < 8, np.arange(40) < 5))
    7.5 % (-3.1 to 17)
    """
    if not len(a) == len(b) > 0:
        raise SkfmError(f"{len(a)} and {len(b)} hits", "equally many, at least one")
    only = np.array([np.sum(a & ~b), np.sum(b & ~a)])
    more, less = (only + 1) / (len(a) + 2)
    reach = Z95 * math.sqrt((more + less - (more - less) ** 2) / (len(a) + 2))
    low, high = max(more - less - reach, -1.0), min(more - less + reach, 1.0)
    return Share(float(only[0] - only[1]) / len(a), float(low), float(high))


def pair_mean(
    values: np.ndarray, first: np.ndarray, second: np.ndarray, level: float = 0.95
) -> Interval:
    """Mean of `values` of pairs of items, given the indices of their two items.

    The normal interval with the dyadic cluster-robust variance (Fafchamps & Gubert
    2007): residuals of pairs with a common item are correlated, all others are not.
    Treating pairs as independent makes intervals too narrow.

    Raises:
        SkfmError: for fewer than two pairs, NaN, another number of items than of pairs
            or a level outside 0 … 1.
    """
    if len(values) < 2 or not 0 < level < 1:
        found = f"{len(values)} pair(s), level = {level}"
        raise SkfmError(found, "2 or more, 0 < level < 1")
    if not (len(values) == len(first) == len(second) and np.isfinite(values).all()):
        found = f"{len(values)} values of {len(first)} and {len(second)} items"
        raise SkfmError(found, "a finite value and two items for each pair")
    mean, residuals = values.mean(), values - values.mean()
    items = np.concatenate([first, second])
    of_item = np.bincount(items, weights=np.concatenate([residuals, residuals]))
    own = np.sum(residuals**2)  # counted with either item, hence once too often
    variance = max(np.sum(of_item**2) - own, own) / len(values) ** 2
    reach = NormalDist().inv_cdf((1 + level) / 2) * np.sqrt(variance)
    return Interval(float(mean), float(mean - reach), float(mean + reach))


def _quantiles(values: Sequence[float] | np.ndarray, level: float) -> np.ndarray:
    """The two ends of the central `level` of values along their first axis."""
    if not 0 < level < 1:
        raise SkfmError(f"level = {level}", "0 < level < 1")
    return np.quantile(values, [(1 - level) / 2, (1 + level) / 2], axis=0)


def check_sets(sets: Sequence[np.ndarray], n: int, fewest: int) -> None:
    """SkfmError for n < 2, a set of fewer than `fewest`, or NaN and infinity."""
    sizes = [len(s) for s in sets]
    if n < 2 or not sizes or min(sizes) < fewest:
        found, expected = (
            f"n = {n}, sets of {sizes} items",
            f"at least {fewest} in each",
        )
        raise SkfmError(found, f"n ≥ 2, {expected}", "add samples")
    finite = [bool(np.isfinite(s).all()) for s in sets]
    if not all(finite):
        found = f"set {finite.index(False) + 1} holds NaN or infinity"
        raise SkfmError(found, "finite values", "leave out what has none")
