"""The mean of a table of seeds and skulls, both of them random, and its tests.

    x[s, i] = μ + a[s] + b[i] + e[s, i]

Seeds s (or generators), test skulls i and the remaining error are random and normal.
"""

import math
from typing import NamedTuple

import numpy as np
from scipy import special, stats

from skfm_lib.metrics import Interval

LEVEL = 0.95
TINY = np.finfo(float).tiny


class Estimate(NamedTuple):
    """An estimate of μ, its standard error and the degrees of freedom of that error."""

    value: float
    error: float
    freedom: float

    def interval(self, level: float = LEVEL) -> Interval:
        """Student's t interval; infinite where the error is unknown."""
        reach = float(self.error * stats.t.ppf((1 + level) / 2, self.freedom))
        return Interval(self.value, self.value - reach, self.value + reach)

    def p_value(self, threshold: float = 0.0) -> float:
        """Of the two-sided test of μ = `threshold`."""
        return 2 * self._beyond(abs(self._t(threshold)))

    def p_within(self, margin: float) -> float:
        """Of two one-sided tests: μ is `margin` or more from 0 (Schuirmann 1987)."""
        return self._beyond(min(self._t(-margin), -self._t(margin)))

    def power(self, distance: float, alpha: float) -> float:
        """Of finding μ above the threshold that it exceeds by `distance`, at `alpha`.

        As if the true standard error were the one that was found; the test has two
        sides, of which the upper one counts.
        """
        if not 0 < self.error < np.inf:
            return float(self.error == 0 and distance > 0)
        quantile = stats.t.ppf(1 - alpha / 2, self.freedom)
        away = distance / self.error
        return float(stats.nct.sf(quantile, self.freedom, away))

    def _t(self, threshold: float) -> float:
        away = self.value - threshold
        if self.error:
            return away / self.error
        return math.copysign(math.inf, away) if away else 0.0

    def _beyond(self, t: float) -> float:
        """The probability that Student's t is larger."""
        return float(special.stdtr(self.freedom, -t))


class Estimates(NamedTuple):
    """The parts of many estimates, as arrays."""

    value: np.ndarray
    error: np.ndarray
    freedom: np.ndarray


def estimate(x: np.ndarray) -> Estimate:
    """The `Estimate` of one table (seeds, skulls).

    Of one seed it covers the choice of skulls alone.  One skull has no known error.
    """
    return Estimate(*(float(part[0]) for part in crossed(x[None])))


def crossed(x: np.ndarray) -> Estimates:
    """Estimates of many tables (n, …, seeds, skulls) at once: arrays (n, …).

    The mean squares A of seeds, B of skulls and E of the remainder give the variance
    of the mean, (max(A, E) + max(B, E) − E) / (seeds · skulls).  Satterthwaite's
    degrees of freedom are estimates themselves: with three seeds, tests at 5 % would
    reject up to 8 % of true values of μ.  Their geometric mean with the fewest, of
    seeds or skulls, is taken instead; 4 to 6 % of 6,000 simulated tests then reject,
    and fewer where neither seeds nor skulls differ.
    """
    seeds, skulls = x.shape[-2:]
    mean, of_seed, of_skull = x.mean((-2, -1)), x.mean(-1), x.mean(-2)
    if skulls == 1:
        return Estimates(mean, np.full_like(mean, np.inf), np.ones_like(mean))
    if seeds == 1:
        error = of_skull.std(-1, ddof=1) / np.sqrt(skulls)
        return Estimates(mean, error, np.full_like(mean, skulls - 1))
    rest = x - of_seed[..., None] - of_skull[..., None, :] + mean[..., None, None]
    freedoms = seeds - 1, skulls - 1, (seeds - 1) * (skulls - 1)
    a = skulls * of_seed.var(-1, ddof=1)
    b = seeds * of_skull.var(-1, ddof=1)
    e = (rest**2).sum((-2, -1)) / freedoms[2]
    total = np.maximum(a, e) + np.maximum(b, e) - e
    return Estimates(
        mean, np.sqrt(total / (seeds * skulls)), _freedom(a, b, e, freedoms)
    )


def _freedom(
    a: np.ndarray, b: np.ndarray, e: np.ndarray, freedoms: tuple[int, int, int]
) -> np.ndarray:
    """Of the mean squares that a variance is the sum of."""
    has_a, has_b = a > e, b > e
    total = np.where(has_a, a, e) + np.where(has_b, b, e) - e
    parts = np.where(has_a, a, 0), np.where(has_b, b, 0), np.where(has_a ^ has_b, 0, e)
    squares = sum(part**2 / freedom for part, freedom in zip(parts, freedoms))
    least = min(freedoms)
    # Where all are alike, the error is 0, whatever its freedom.
    satterthwaite = np.where(squares > 0, total**2 / np.maximum(squares, TINY), least)
    return np.sqrt(satterthwaite * np.minimum(satterthwaite, least))
