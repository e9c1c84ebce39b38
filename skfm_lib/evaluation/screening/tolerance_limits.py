"""Where normal ends: limits that a stated share of real skulls is beyond."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from skfm_lib.utils.errors import SkfmError

FOLDS = 5
PRIOR = 20  # skulls that the spread common to all scores weighs, beside a score's own


@dataclass(frozen=True)
class Measure:
    """One measure of a skull, and in which tail it is wrong.

    tail    "high", "low" or "both"
    least   its spread is never taken for smaller: less is the grid's doing, or
            nobody's concern; and skulls that all have 0 have no spread of their own
    scores  the quality scores that it can be taken of; None for all
    """

    name: str
    unit: str
    tail: str
    least: float
    scores: tuple[int, ...] | None = None

    @property
    def tails(self) -> int:
        """1 or 2."""
        return 2 if self.tail == "both" else 1


@dataclass(frozen=True)
class Limits:
    """For each quality score (row) and measure (column): what is still normal.

    scores  the quality scores, ascending, as the rows of `low`, `high` and `spread`
    share   of real skulls that each measure is expected to fail; exactly this for
            a continuous measure of one more skull like those it was set on
    """

    scores: np.ndarray
    low: np.ndarray
    high: np.ndarray
    spread: np.ndarray
    share: np.ndarray

    def excess(self, values: np.ndarray, shown: np.ndarray) -> np.ndarray:
        """How far `values` (n, m) of skulls that show `shown` (n,) are beyond.

        In spreads of the score; 0 or less within the limits, and −∞ where a measure
        does not apply.
        """
        rows = np.searchsorted(self.scores, shown)
        with np.errstate(invalid="ignore"):  # ∞ − ∞, of a measure that does not apply
            gap = np.fmax(self.low[rows] - values, values - self.high[rows])
        return np.where(np.isnan(gap), -np.inf, gap / self.spread[rows])


def folds(qualities: np.ndarray, seed: int) -> Iterator[np.ndarray]:
    """FOLDS masks (n,) of the skulls that are left out, every score in proportion."""
    fold = np.empty(len(qualities), int)
    rng = np.random.default_rng(seed)
    for quality in np.unique(qualities):
        members = np.flatnonzero(qualities == quality)
        fold[rng.permutation(members)] = np.arange(len(members)) % FOLDS
    for number in range(FOLDS):
        yield fold == number


def set_limits(
    values: np.ndarray,
    qualities: np.ndarray,
    measures: tuple[Measure, ...],
    share: float,
    seed: int,
) -> Limits:
    """Limits that `share` of real skulls are beyond, each measure for itself.

    values  (n, m) of skulls of known scores (n,); NaN where a measure does not apply

    A value counts in spreads from the mean of its score.  Means come from the other
    folds, so that every skull is judged as a new one would be; spreads come from all,
    or one hole among skulls without any would count in spreads of nothing.  A score's
    own spread is drawn towards the common one (PRIOR), since QS 6 is rare.  Beyond
    the k-th largest of n such values lies one more skull with chance k / (n + 1):
    k is the largest that `share` allows, half of it in each tail where both are
    wrong, and at least 1.  SkfmError where a score has fewer than two skulls.
    """
    scores, counts = np.unique(qualities, return_counts=True)
    if counts.min() < 2 or not 0 < share < 1:
        raise SkfmError(
            f"{counts.min()} skull(s) of QS {scores[counts.argmin()]}, share {share}",
            "two skulls of every score and a share between 0 and 1",
            "screen with a larger training set",
        )
    centre = _means(values, qualities, scores)
    spread = _spreads(values, qualities, centre, [m.least for m in measures])
    standard = np.empty_like(values)
    for out in folds(qualities, seed):
        others = _means(values[~out], qualities[~out], scores)
        rows = np.searchsorted(scores, qualities[out])
        standard[out] = (values[out] - others[rows]) / spread[rows]
    ends = [_ends(z, m, share) for z, m in zip(standard.T, measures)]
    low, high, shares = (np.array(column) for column in zip(*ends))
    return Limits(scores, centre + low * spread, centre + high * spread, spread, shares)


def _means(values: np.ndarray, qualities: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """(scores, m) of the measures; NaN where none was taken."""
    taken = np.isfinite(values)
    sums = np.stack([np.nansum(values[qualities == q], axis=0) for q in scores])
    counts = np.stack([taken[qualities == q].sum(axis=0) for q in scores])
    return np.where(counts, sums / np.maximum(counts, 1), np.nan)


def _spreads(
    values: np.ndarray, qualities: np.ndarray, centre: np.ndarray, least: list[float]
) -> np.ndarray:
    """Standard deviations (scores, m), each between its own and the common one."""
    scores, rows = np.unique(qualities, return_inverse=True)
    squares = (values - centre[rows]) ** 2
    own = np.stack([np.nansum(squares[qualities == q], axis=0) for q in scores])
    taken = np.stack([np.isfinite(values[qualities == q]).sum(0) for q in scores])
    freedom = np.maximum(taken - 1, 0)
    common = own.sum(axis=0) / np.maximum(freedom.sum(axis=0), 1)
    return np.maximum(np.sqrt((own + PRIOR * common) / (freedom + PRIOR)), least)


def _ends(
    standard: np.ndarray, measure: Measure, share: float
) -> tuple[float, float, float]:
    """(low, high, share) of standardised values; infinite in a tail that is right."""
    z = np.sort(standard[np.isfinite(standard)])
    if not len(z):
        return -np.inf, np.inf, 0.0
    k = max(1, int(share * (len(z) + 1) / measure.tails))
    low = z[k - 1] if measure.tail != "high" else -np.inf
    high = z[-k] if measure.tail != "low" else np.inf
    return low, high, measure.tails * k / (len(z) + 1)
