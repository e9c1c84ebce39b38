"""Cross-fitted tolerance limits: a stated fraction of real skulls is beyond them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Float, Int

from skfm_lib.utils.errors import SkfmError

FOLDS = 5
PRIOR = 20  # skulls; weight of the pooled variance against a score's own


@dataclass(frozen=True)
class Measure:
    """A measure of a skull."""

    name: str
    unit: str
    tail: Literal["high", "low", "both"]  #: the values that are abnormal
    least: float  #: of its spread, since smaller differences are due to the grid
    scores: tuple[int, ...] | None = None  #: that it applies to; None for all
    tolerated: float = 0  #: highest value that is no failure in any population


@dataclass(frozen=True)
class Limits:
    """The range of each measure for each quality score."""

    scores: Int[np.ndarray, " scores"]  #: ascending
    low: Float[np.ndarray, "scores measures"]  #: −∞ where no low value is abnormal
    high: Float[np.ndarray, "scores measures"]  #: ∞ where no high value is abnormal
    spread: Float[np.ndarray, "scores measures"]  #: shrunken standard deviations
    share: Float[np.ndarray, " measures"]  #: expected fraction of real skulls beyond

    def excess(self, values: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """How far `values` (n, m) of skulls of `scores` (n,) are beyond, in spreads.

        At most 0 within the limits, and −∞ where a measure does not apply.

        >>> one = np.ones((1, 1))
        >>> limits = Limits(np.array([5]), one, 3 * one, one / 2, np.array([0.01]))
        >>> limits.excess(np.array([[4.0], [2.0], [np.nan]]), np.array([5, 5, 5])).T
        array([[  2.,  -2., -inf]])
        """
        rows = np.searchsorted(self.scores, scores)
        with np.errstate(invalid="ignore"):  # ∞ − ∞, of a measure that does not apply
            gap = np.fmax(self.low[rows] - values, values - self.high[rows])
        return np.where(np.isnan(gap), -np.inf, gap / self.spread[rows])


def folds(qualities: np.ndarray, seed: int) -> list[np.ndarray]:
    """FOLDS masks (n,) of the skulls that are left out, stratified by score."""
    fold = np.empty(len(qualities), int)
    rng = np.random.default_rng(seed)
    for quality in np.unique(qualities):
        members = np.flatnonzero(qualities == quality)
        fold[rng.permutation(members)] = np.arange(len(members)) % FOLDS
    return [fold == number for number in range(FOLDS)]


def set_limits(
    values: np.ndarray,
    qualities: np.ndarray,
    measures: Sequence[Measure],
    share: float,
    seed: int,
) -> Limits:
    """Limits that a fraction `share` of real skulls is beyond, for each measure.

    `values` (n, m) of skulls of scores `qualities` (n,) are NaN where a measure does
    not apply.  They are standardised by the mean of their score in the other folds,
    as for a new skull, and by a spread from all folds, which would be 0 without an
    outlier if all others are equal.  The variance of a score is shrunk towards the
    pooled one (PRIOR), since QS 6 is rare.  One more skull is beyond the k-th largest
    of n such values with probability k / (n + 1), for a continuous measure exactly; k
    is the largest that `share` allows, half of it per tail if both are abnormal, or 1.
    An upper limit is at least what is `tolerated`; then fewer are beyond it.

    Raises:
        SkfmError: if a score has fewer than two skulls or `share` is not in (0, 1).
    """
    scores, counts = np.unique(qualities, return_counts=True)
    if counts.min() < 2 or not 0 < share < 1:
        raise SkfmError(
            f"{counts.min()} skull(s) of QS {scores[counts.argmin()]}, share {share}",
            "two skulls of every score and a share between 0 and 1",
            "screen with a larger training set",
        )
    centre = _means(values, qualities, scores)
    rows = np.searchsorted(scores, qualities)
    spread = _spreads(values - centre[rows], qualities, [m.least for m in measures])
    standard = np.empty_like(values)
    for out in folds(qualities, seed):
        others = _means(values[~out], qualities[~out], scores)[rows[out]]
        standard[out] = (values[out] - others) / spread[rows[out]]
    ends = [_ends(z, m.tail, share) for z, m in zip(standard.T, measures)]
    low, high, shares = (np.array(column) for column in zip(*ends))
    upper = np.maximum(centre + high * spread, [m.tolerated for m in measures])
    return Limits(scores, centre + low * spread, upper, spread, shares)


def _means(values: np.ndarray, qualities: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Means (scores, m) of what is not NaN; NaN without any."""
    return pd.DataFrame(values).groupby(qualities).mean().reindex(scores).to_numpy()


def _spreads(
    residuals: np.ndarray, qualities: np.ndarray, least: Sequence[float]
) -> np.ndarray:
    """Standard deviations (scores, m), shrunk towards the pooled one."""
    squares = pd.DataFrame(residuals**2).groupby(qualities)
    own, freedom = squares.sum().to_numpy(), (squares.count() - 1).clip(0).to_numpy()
    pooled = own.sum(axis=0) / np.maximum(freedom.sum(axis=0), 1)
    return np.maximum(np.sqrt((own + PRIOR * pooled) / (freedom + PRIOR)), least)


def _ends(standard: np.ndarray, tail: str, share: float) -> tuple[float, float, float]:
    """(low, high, share) of standardised values; infinite in a tail that is normal."""
    z = np.sort(standard[np.isfinite(standard)])
    if not len(z):
        return -np.inf, np.inf, 0.0
    tails = 2 if tail == "both" else 1
    k = max(1, int(share * (len(z) + 1) / tails))
    low = z[k - 1] if tail != "high" else -np.inf
    high = z[-k] if tail != "low" else np.inf
    return low, high, tails * k / (len(z) + 1)
