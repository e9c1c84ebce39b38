"""The columns of Table 1: two sets of features compared, and the metrics' ranges."""

import warnings
from math import inf
from typing import NamedTuple

import numpy as np

from skfm_lib import metrics
from skfm_lib.metrics import Draws, Interval
from skfm_lib.metrics.kernel import Labels
from skfm_lib.utils.errors import SkfmError

Row = dict[str, Interval]  # column of Table 1 → value

DEALS = 50  # into halves, for the intervals
DISTANCES = ("FID ↓", "KID ↓")
NEIGHBOURS = ("IP ↑", "IR ↑", "PP ↑", "PR ↑", "Density ↑", "Coverage ↑")
BETWEEN_SETS = DISTANCES + NEIGHBOURS
WITHIN_SET = ("MS-SSIM ↓", "MS-SSIM (variant) ↓")
ANATOMY = "anatomical distance ↓"
RANGES = {  # else 0 … 1
    "FID ↓": (0, inf), "KID ↓": (-inf, inf), "Density ↑": (0, inf), ANATOMY: (0, inf),
}  # fmt: skip
NUMBERS = {"improved": 3, "probabilistic": 4, "density": 5}  # of neighbours, k
FEWEST = 2 * (max(NUMBERS.values()) + 1)  # skulls: a half holds one and its neighbours


class Compared(NamedTuple):
    """The columns `BETWEEN_SETS` of two sets, with draws for their intervals.

    The columns of `neighbours` stand there twice: for halves with the number k of
    neighbours of the complete sets, and with k / 2.
    """

    distances: Draws
    neighbours: Draws
    difference: bool = False  # of two comparisons

    def minus(self, other: "Compared") -> "Compared":
        """The differences, half by half; those of a common reference are paired."""
        distances = self.distances.minus(other.distances)
        return Compared(distances, self.neighbours.minus(other.neighbours), True)

    def row(self) -> Row:
        """Column → value with its 95 % interval, symmetric but for KID.

        With the same k the balls of a half are larger than those of the complete set,
        with k / 2 they are as large but fewer: of both variances the larger counts.
        """
        count = len(NEIGHBOURS)
        variances = self.neighbours.halved_variance().reshape(2, count).max(axis=0)
        near = self.neighbours.intervals_of(np.tile(variances, 2))[:count]
        row = dict(zip(BETWEEN_SETS, self.distances.intervals() + near))
        if not self.difference:
            linear, quadratic = (part[1] for part in self.distances.components())
            row["KID ↓"] = metrics.squared_distance(
                row["KID ↓"].value, linear, quadratic, self.distances.quantile()
            )
        return row


def compare(
    real: np.ndarray,
    fake: np.ndarray,
    seed: int,
    n: int = DEALS,
    labels: Labels | None = None,
    paired: bool = False,
) -> Compared:
    """The columns `BETWEEN_SETS` for two sets of features (m, d), and `n` deals.

    `labels` are the quality scores of sets that are matched by them
    (`metrics.kernel_distance`).  Halves of `paired` sets hold the same items.  Where
    there are fewer skulls than features, `table1_protocol.features_caption` states it.

    Measured on mixtures of Gaussians in 48 dimensions, matched by score, alike and at
    two distances: intervals of 95 % by 30 to 50 deals hold the mean for 92 to 98 % of
    110 to 170 pairs of 48 items, and of 120 to 130 pairs of 182 items.  Recall below
    0.1 is covered by 97 to 100 %, and so its intervals are wide.

    Raises:
        SkfmError: for sets of fewer than FEWEST skulls, and as the metrics and
            `metrics.deal_draws` do.
    """
    if min(len(real), len(fake)) < FEWEST:
        found = f"sets of {len(real)} and {len(fake)} skulls"
        raise SkfmError(found, f"at least {FEWEST} in each", "generate more")
    items = np.arange(len(real)), np.arange(len(fake))
    scores = labels and (np.asarray(labels[0]), np.asarray(labels[1]))

    def both(i: np.ndarray, j: np.ndarray) -> list[float]:
        a, b = real[i], fake[j]
        part = scores and (scores[0][i], scores[1][j])
        half = 1.0 if len(i) == len(real) else 0.5
        distances = metrics.frechet_distance(a, b), metrics.kernel_distance(a, b, part)
        return [*distances, *_neighbours(a, b, 1.0), *_neighbours(a, b, half)]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", metrics.FewSamples)
        drawn = metrics.deal_draws(
            both, *items, n=n, seed=seed, labels=scores, paired=paired
        )
    first, rest = slice(len(DISTANCES)), slice(len(DISTANCES), None)
    distances, neighbours = (
        Draws(drawn.values[part], drawn.parts[..., part]) for part in (first, rest)
    )
    return Compared(distances, neighbours.as_shares(_shares()))


def _neighbours(real: np.ndarray, fake: np.ndarray, share: float) -> list[float]:
    """The columns NEIGHBOURS, with a share of the usual numbers of neighbours."""
    improved, probabilistic, density = (share * k for k in NUMBERS.values())
    return [
        *metrics.improved_precision_recall(real, fake, improved),
        *metrics.probabilistic_precision_recall(real, fake, probabilistic),
        *metrics.density_coverage(real, fake, density),
    ]


def _shares() -> np.ndarray:
    """Which of the columns NEIGHBOURS, twice, are shares of 1."""
    return np.flatnonzero([column not in RANGES for column in NEIGHBOURS * 2])


def in_range(row: Row, skulls: int) -> Row:
    """A row of values, not of differences, whose intervals stay in the metric's range.

    Only KID may be negative, since it is unbiased.
    """
    return {
        column: metrics.bounded(found, *RANGES.get(column, (0, 1)), skulls)
        for column, found in row.items()
    }
