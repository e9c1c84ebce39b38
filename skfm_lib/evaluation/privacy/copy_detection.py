"""Does a synthetic set copy its training skulls?  Samples judged by real skulls.

`RealSkulls` holds the distances among real skulls in one space (`privacy_spaces`)
and judges samples by them.  Everything is set beside the same quantity for the
held-out skulls, which no network has seen: what a set that copies nothing scores.
None of it is a formal guarantee: a measure that finds nothing has not looked there.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from skfm_lib.evaluation.privacy.measures import (
    authentic,
    chance_of_closer,
    closer_to_training,
    limits,
    neighbour_ratio,
)
from skfm_lib.metrics import Interval, bootstrap, share
from skfm_lib.utils.errors import SkfmError

SHARE = 0.05  # of unseen real skulls that may be flagged (Dar et al. 2024: 5 %)


@dataclass(frozen=True)
class Findings:
    """What is found about each sample of a set; arrays are (n,).

    nearest    distance to the nearest training skull, in its nearest view
    which      that training skull, 0 … N − 1
    view       0 if it is nearest as it is, 1 if mirrored
    limit      distance below which the sample is called a copy
    ratio      `neighbour_ratio`;  authentic, `authentic`
    closer     `closer_to_training`; None for the hold-out itself
    chance     `chance_of_closer`; None for the hold-out itself
    expected   share of unseen real skulls that would be called copies
    skulls     N, the number of training skulls
    """

    nearest: np.ndarray
    which: np.ndarray
    view: np.ndarray
    limit: np.ndarray
    ratio: np.ndarray
    authentic: np.ndarray
    closer: np.ndarray | None
    chance: Interval | None
    expected: float
    skulls: int

    @property
    def copies(self) -> np.ndarray:
        """The samples (n,) nearer to a training skull than their limit, bool."""
        return self.nearest < self.limit

    @property
    def memorised(self) -> np.ndarray:
        """The training skulls that a copy has as its nearest (Dar et al. 2024)."""
        return np.unique(self.which[self.copies])

    @property
    def by_limit(self) -> np.ndarray:
        """Nearest distance as a share of the limit (n,); below 1 is a copy."""
        return self.nearest / self.limit

    def suspicious(self, count: int) -> np.ndarray:
        """The `count` samples with the smallest `by_limit`, most suspicious first."""
        return np.argsort(self.by_limit, kind="stable")[:count]

    def summary(self, seed: int = 0) -> dict[str, Interval | float]:
        """The set's row of the table of copies, with 95 % intervals.

        Means by bootstrap over the samples, shares by Wilson's interval: they speak
        of chance in the samples, for these training skulls.
        """
        return {
            "copies": share(self.copies),
            "expected": self.expected,
            "memorised": share(len(self.memorised), self.skulls),
            "NNDR": bootstrap(np.mean, self.ratio, seed=seed),
            "authentic": share(self.authentic),
        }

    def closeness(self, seed: int = 0) -> dict[str, Interval]:
        """Share of samples closer to training, and where it lies by chance alone.

        The first interval is of chance in the samples (bootstrap), the second of
        chance in who was held out; the second is the one to judge by, since all
        samples share the same real skulls.  Nothing for the hold-out itself.
        """
        if self.closer is None or self.chance is None:
            return {}
        share = bootstrap(np.mean, self.closer, seed=seed)
        return {"closer to training": share, "by chance": self.chance}


@dataclass(frozen=True)
class RealSkulls:
    """The distances among real skulls, by which samples are judged.

    train_quality    quality scores (N,);  holdout_quality (M,)
    train_train      (views, N, N); the diagonal is not looked at
    holdout_train    (views, M, N): from hold-outs to every view of a training skull
    share            of unseen real skulls that may be called copies

    Of the views of a training skull (as it is, mirrored) the nearest one counts.
    Raises SkfmError for other shapes, NaN, negative distances, and for a held-out
    skull that is a training skull.
    """

    train_quality: np.ndarray
    holdout_quality: np.ndarray
    train_train: np.ndarray
    holdout_train: np.ndarray
    share: float = SHARE

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise SkfmError(f"share {self.share}", "a share between 0 and 1")
        n, m = len(self.train_quality), len(self.holdout_quality)
        _check(self.train_train, (n, n), "within training")
        _check(self.holdout_train, (m, n), "from hold-out to training")
        nearest = self._holdout_nearest
        if nearest.min() <= 1e-6 * np.median(nearest):
            raise SkfmError(
                f"held-out skull {nearest.argmin()} is also a training skull",
                "a hold-out that no network has seen",
                "split the data again, one skull on one side",
            )

    def judge(
        self,
        to_train: np.ndarray,
        to_holdout: np.ndarray,
        quality: np.ndarray,
        seed: int = 0,
    ) -> Findings:
        """What is found about samples of these quality scores (n,).

        to_train    (views, n, N);  to_holdout  (views, n, M)

        Raises SkfmError for other shapes and for a score without hold-outs.
        """
        quality = np.asarray(quality)
        _check(to_train, (len(quality), len(self.train_quality)), "to training")
        _check(to_holdout, (len(quality), len(self.holdout_quality)), "to hold-out")
        known = (self._holdout_nearest, self.holdout_quality)
        limit, rate = limits(*known, quality, self.share)
        sides = (to_train.min(axis=0), to_holdout.min(axis=0))
        qualities = (self.train_quality, self.holdout_quality)
        closer = closer_to_training(*sides, *qualities)
        chance = chance_of_closer(*sides, *qualities, seed=seed)
        return self._findings(to_train, limit, rate, closer, chance)

    def control(self) -> Findings:
        """The same for the hold-outs; each is judged by the limits of the others."""
        quality, distance = self.holdout_quality, self._holdout_nearest
        limit, rate = np.empty(len(quality)), np.empty(len(quality))
        for i in range(len(quality)):
            rest, one = np.arange(len(quality)) != i, slice(i, i + 1)
            known = (distance[rest], quality[rest])
            limit[one], rate[one] = limits(*known, quality[one], self.share)
        return self._findings(self.holdout_train, limit, rate)

    @cached_property
    def _holdout_nearest(self) -> np.ndarray:
        return self.holdout_train.min(axis=(0, 2))

    def _findings(
        self,
        to_train: np.ndarray,
        limit: np.ndarray,
        rate: np.ndarray,
        closer: np.ndarray | None = None,
        chance: Interval | None = None,
    ) -> Findings:
        apart, rows = to_train.min(axis=0), np.arange(len(limit))
        which = apart.argmin(axis=1)
        return Findings(
            nearest=apart[rows, which],
            which=which,
            view=to_train[:, rows, which].argmin(axis=0),
            limit=limit,
            ratio=neighbour_ratio(apart),
            authentic=authentic(apart, self.train_train.min(axis=0)),
            closer=closer,
            chance=chance,
            expected=float(rate.mean()),
            skulls=len(self.train_quality),
        )


def _check(apart: np.ndarray, shape: tuple[int, int], what: str) -> None:
    """Distances (views, *shape) that are not NaN and not negative, or SkfmError."""
    if apart.ndim != 3 or apart.shape[1:] != shape or not len(apart) or 0 in shape:
        raise SkfmError(
            f"distances {what} have shape {apart.shape}",
            f"(views, {shape[0]}, {shape[1]}), none of them 0",
        )
    if not (apart >= 0).all():
        raise SkfmError(f"distances {what} hold NaN or negative values", "distances")
