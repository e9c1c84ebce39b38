"""Variances of comparisons of two sets, from halves of the sets without replacement.

The bootstrap does not fit them: duplicates are their own neighbours and add no rank.
Two halves of a set are independent, so half of the mean square of their difference is
the variance at half the size, without bias and whatever the statistic.  What follows
from it for the complete sets depends on how the statistic varies with size.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.stats import t as student

from skfm_lib.metrics.confidence import Interval, check_sets
from skfm_lib.utils.errors import SkfmError


class Draws(NamedTuple):
    """Values (k,) of complete sets, and (n, 2, k) of the halves of `n` deals."""

    values: np.ndarray
    parts: np.ndarray

    def minus(self, other: "Draws") -> "Draws":
        """The differences, half by half: variation from a common half cancels."""
        return Draws(self.values - other.values, self.parts - other.parts)

    def components(self) -> tuple[np.ndarray, np.ndarray]:
        """Variances L and Q (k,) of the linear and quadratic parts of a distance.

        With both, a distance has the variance L + Q: L vanishes where two sets are of
        one population, Q where they are far apart (Hoeffding 1948).  Within a set, a
        half varies by s = L + 3Q, and the covariance of two complementary halves is
        −c = −(L + Q).  So L = (3c − s) / 2, or 0 where that is negative, and
        Q = (s − c) / 2.
        """
        from_mean = self.parts - self.parts.mean(axis=(0, 1))
        s = (from_mean**2).mean(axis=(0, 1))
        c = -from_mean.prod(axis=1).mean(axis=0)
        return np.maximum((3 * c - s) / 2, 0), (s - c) / 2

    def halved_variance(self) -> np.ndarray:
        """Half of the variance (k,) of a half: that of what varies as 1/n."""
        first, second = self.parts[:, 0], self.parts[:, 1]
        return np.asarray(((first - second) ** 2).mean(axis=0) / 4)

    def as_shares(self, columns: np.ndarray) -> "Draws":
        """With halves of the shares p in some columns scaled to the complete sets.

        The share m in halves differs from p, and with it the variance m (1 − m) of an
        item.  Deviations from m times √(p (1 − p) / (m (1 − m))) keep the design effect
        (Kish 1965), the ratio to the variance of as many independent items.
        """
        part, p = self.parts[..., columns], self.values[columns]
        m = part.mean(axis=(0, 1))
        spread, had = np.maximum(p * (1 - p), 0), m * (1 - m)
        scale = np.sqrt(spread / np.where(had > 1e-12, had, np.inf))
        parts = self.parts.copy()
        parts[..., columns] = p + scale * (part - m)
        return Draws(self.values, parts)

    def intervals(self, level: float = 0.95) -> list[Interval]:
        """The intervals of distances, symmetric; see `confidence.bounded`."""
        linear, quadratic = self.components()
        return self.intervals_of(linear + quadratic, level)

    def intervals_of(
        self, variances: np.ndarray, level: float = 0.95
    ) -> list[Interval]:
        """The interval around each value by its variance (k,) from these draws."""
        reach = self.quantile(level) * np.sqrt(variances)
        ends = zip(self.values, self.values - reach, self.values + reach)
        return [Interval(*map(float, each)) for each in ends]

    def quantile(self, level: float = 0.95) -> float:
        """Student's, with one degree of freedom a deal: 2.01 for 50 of them.

        A deal determines the deviation of a half once, so that the variance of a mean
        from n deals has the distribution of χ² with n degrees of freedom.
        """
        if not 0 < level < 1:
            raise SkfmError(f"level = {level}", "0 < level < 1")
        return float(student.ppf((1 + level) / 2, len(self.parts)))


def deal_draws(
    statistic: Callable[..., Sequence[float]],
    *sets: np.ndarray,
    n: int = 50,
    seed: int = 0,
    labels: Sequence[Sequence[int] | np.ndarray] | None = None,
    paired: bool = False,
) -> Draws:
    """``statistic(*sets)``, of k numbers, for the sets and for halves of them.

    Each set is dealt at random into halves, `n` times, and the statistic computed of
    the first halves of all sets and of the second.  A half has a larger bias than the
    complete set, so intervals cover chance, not the bias at this size.

    With `labels`, one a set, each label is dealt evenly: the intervals are those of
    sets with fixed numbers of each label.  The i-th deal of the first set depends on
    its length, labels, `seed` and i only, so that draws of one set against several can
    be subtracted; `paired` sets are dealt alike.

    Raises:
        SkfmError: for sets of fewer than four items, n < 2, another number of labels
            than items, or paired sets of unequal size.
    """
    check_sets(sets, n, fewest=4)
    given = [np.zeros(len(s)) for s in sets] if labels is None else labels
    scores, sizes = [np.asarray(label) for label in given], [len(s) for s in sets]
    if [len(s) for s in scores] != sizes or (paired and len(set(sizes)) > 1):
        found = f"sets of {sizes} items with {[len(s) for s in scores]} labels"
        raise SkfmError(found, "a label for each item, paired sets of one size")
    values = np.asarray(statistic(*sets), dtype=float)
    with warnings.catch_warnings():  # already issued for the complete sets
        warnings.simplefilter("ignore")
        parts = []
        for i in range(n):
            dealt = list(zip(sets, _deal(scores, [seed, i], paired)))
            halves = ([s[h == half] for s, h in dealt] for half in (0, 1))
            parts.append([statistic(*half) for half in halves])
    return Draws(values, np.array(parts, dtype=float))


def _deal(
    labels: Sequence[np.ndarray], seed: Sequence[int], paired: bool
) -> Iterator[np.ndarray]:
    """The half (n,), 0 or 1, of each item, for each set."""
    rng = np.random.default_rng(seed)
    for index, label in enumerate(labels):
        if not index or not paired:
            order = np.lexsort((rng.random(len(label)), label))
        half = np.empty(len(label), int)
        half[order] = np.arange(len(label)) % 2
        yield half
