"""The columns of Table 1: two sets of features compared, and the metrics' ranges."""

import warnings
from math import inf
from typing import NamedTuple

import numpy as np

from skfm_lib import metrics
from skfm_lib.metrics import Draws, Interval
from skfm_lib.metrics.kernel import Labels

Row = dict[str, Interval]  # column of Table 1 → value

PARTS = 100  # of the sets, for the intervals
DISTANCES = ("FID ↓", "KID ↓")
NEIGHBOURS = ("IP ↑", "IR ↑", "PP ↑", "PR ↑", "Density ↑", "Coverage ↑")
BETWEEN_SETS = DISTANCES + NEIGHBOURS
WITHIN_SET = ("MS-SSIM ↓", "MS-SSIM (variant) ↓")
RANGES = {"FID ↓": (0, inf), "KID ↓": (-inf, inf), "Density ↑": (0, inf)}  # else 0 … 1


class Compared(NamedTuple):
    """The columns `BETWEEN_SETS` of two sets, with draws for their intervals."""

    distances: Draws  # of halves
    neighbours: Draws  # of quarters

    def minus(self, other: "Compared") -> "Compared":
        """The differences, part by part."""
        return Compared(*(mine.minus(theirs) for mine, theirs in zip(self, other)))

    def row(self) -> Row:
        """Column → value with its symmetric 95 % interval."""
        found = [one for draws in self for one in draws.intervals()]
        return dict(zip(BETWEEN_SETS, found))


def compare(
    real: np.ndarray,
    fake: np.ndarray,
    seed: int,
    n: int = PARTS,
    labels: Labels | None = None,
    paired: bool = False,
) -> Compared:
    """The columns `BETWEEN_SETS` for two sets of features (m, d), and for `n` parts.

    `labels` are the quality scores of sets that are matched by them
    (`metrics.kernel_distance`).  Parts of `paired` sets hold the same items.  Where
    there are fewer skulls than features, `comparison_caption` states it.
    """
    items = np.arange(len(real)), np.arange(len(fake))
    scores = labels and (np.asarray(labels[0]), np.asarray(labels[1]))

    def distances(i: np.ndarray, j: np.ndarray) -> list[float]:
        a, b = real[i], fake[j]
        part = scores and (scores[0][i], scores[1][j])
        return [metrics.frechet_distance(a, b), metrics.kernel_distance(a, b, part)]

    def neighbours(i: np.ndarray, j: np.ndarray) -> list[float]:
        return _neighbours(real[i], fake[j])

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.FewSamples)
        each = (distances, metrics.HALVES), (neighbours, metrics.QUARTERS)
        drawn = [
            metrics.deal_draws(
                statistic, *items, hands=hands, n=max(2, n // hands),
                seed=seed, labels=scores, paired=paired,
            )
            for statistic, hands in each
        ]  # fmt: skip
    return Compared(*drawn)


def _neighbours(real: np.ndarray, fake: np.ndarray) -> list[float]:
    return [
        *metrics.improved_precision_recall(real, fake),
        *metrics.probabilistic_precision_recall(real, fake),
        *metrics.density_coverage(real, fake),
    ]


def in_range(row: Row, skulls: int) -> Row:
    """A row of values, not of differences, whose intervals stay in the metric's range.

    Only KID may be negative, since it is unbiased.
    """
    return {
        column: metrics.bounded(found, *RANGES.get(column, (0, 1)), skulls)
        for column, found in row.items()
    }
