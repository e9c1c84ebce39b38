"""Copies of training skulls in a synthetic set, found by nearest-neighbour distance.

Limits are set by skulls that are held out for validation.  Every measure is given for
the test skulls, too, which no network has seen and no limit: the value of a set without
copies.  It is no formal guarantee: a copy that is distant in the space of the search is
not found.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

from skfm_lib.evaluation.privacy import measures
from skfm_lib.metrics import Interval, bootstrap, share
from skfm_lib.utils.errors import SkfmError

SHARE = 0.05  # of unseen real skulls that may be flagged (Dar et al. 2024: 5 %)
FAR = 3.0  # limits, at the end of the histograms
COLOURS = (  # test skulls first, then at most the five models
    *("#b9b4a7", "#c4622d", "#1f5a94", "#4b8b3b", "#8a5a9e", "#c9a227"),
)


@dataclass(frozen=True)
class Findings:
    """Measures of copying for each sample of a set; arrays are (n,)."""

    nearest: np.ndarray  # distance to the nearest view of a training skull
    which: np.ndarray  # that training skull, 0 … N − 1
    view: np.ndarray  # 0 if it is nearest as it is, 1 if mirrored
    limit: np.ndarray  # distance below which the sample is a copy
    ratio: np.ndarray  # `measures.neighbour_ratio`
    authentic: np.ndarray  # `measures.authentic`
    expected: float  # share of unseen real skulls that would be called copies
    skulls: int  # N, the number of training skulls
    closer: np.ndarray  # `measures.closer_to_training`
    chance: Interval  # `measures.chance_of_closer`

    @property
    def copies(self) -> np.ndarray:
        """The samples (n,) nearer to a training skull than their limit, bool."""
        return self.nearest < self.limit

    @property
    def by_limit(self) -> np.ndarray:
        """Nearest distance as a share of the limit (n,); below 1 is a copy."""
        return self.nearest / self.limit

    def suspicious(self, count: int) -> list[int]:
        """The `count` samples with the smallest `by_limit`, in ascending order."""
        return np.argsort(self.by_limit, kind="stable")[:count].tolist()

    def summary(self) -> dict[str, Interval | float]:
        """The set's row of the table of copies, with Wilson's 95 % intervals.

        "memorised" is the share of training skulls that are nearest to a copy (Dar
        et al. 2024).  The intervals are of chance in the samples, for these training
        skulls.
        """
        memorised = np.unique(self.which[self.copies])
        return {
            "copies": share(self.copies),
            "expected": self.expected,
            "memorised": share(len(memorised), self.skulls),
        }

    def similarity(self, seed: int = 0) -> dict[str, Interval]:
        """Similarity to training skulls: for description, no measure of disclosure.

        Means of `measures.neighbour_ratio`, of the authentic samples, and of those
        closer to training than to the hold-out.  Their intervals are of chance in the
        samples; "by chance" is the range of the last one by chance in which skulls were
        held out, which decides, since all samples share the same real skulls.
        """
        return {
            "NNDR": bootstrap(np.mean, self.ratio, seed=seed),
            "authentic": share(self.authentic),
            "closer to training": bootstrap(np.mean, self.closer, seed=seed),
            "by chance": self.chance,
        }


@dataclass(frozen=True)
class RealSkulls:
    """Distances among real skulls, with which samples are compared.

    Of the views of a training skull (as it is, mirrored) the nearest counts.

    Raises:
        SkfmError: for other shapes, NaN, negative distances, and for a held-out
            skull that is also a training skull.
    """

    train_quality: np.ndarray  # quality scores (N,)
    holdout_quality: np.ndarray  # quality scores (M,)
    train_train: np.ndarray  # distances (views, N, N); the diagonal is ignored
    holdout_train: np.ndarray  # distances (views, M, N)
    share: float = SHARE  # of unseen real skulls that may be called copies

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

    def compare(
        self,
        to_train: np.ndarray,
        to_holdout: np.ndarray,
        quality: np.ndarray,
        seed: int = 0,
    ) -> Findings:
        """The findings for samples of these quality scores (n,).

        Distances are (views, n, N) to training and (views, n, M) to the hold-out.

        Raises:
            SkfmError: for other shapes and for a score without held-out skulls.
        """
        _check(to_train, (len(quality), len(self.train_quality)), "to training")
        _check(to_holdout, (len(quality), len(self.holdout_quality)), "to hold-out")
        known = (self._holdout_nearest, self.holdout_quality)
        limit, rate = measures.limits(*known, quality, self.share)
        distance, rows = to_train.min(axis=0), np.arange(len(limit))
        which = distance.argmin(axis=1)
        train = measures.Side(distance, self.train_quality)
        holdout = measures.Side(to_holdout.min(axis=0), self.holdout_quality)
        return Findings(
            nearest=distance[rows, which],
            which=which,
            view=to_train[:, rows, which].argmin(axis=0),
            limit=limit,
            ratio=measures.neighbour_ratio(distance),
            authentic=measures.authentic(distance, self.train_train.min(axis=0)),
            expected=float(rate.mean()),
            skulls=len(self.train_quality),
            closer=measures.closer_to_training(train, holdout),
            chance=measures.chance_of_closer(train, holdout, seed),
        )

    @cached_property
    def _holdout_nearest(self) -> np.ndarray:
        return self.holdout_train.min(axis=(0, 2))


def _check(distances: np.ndarray, shape: tuple[int, int], what: str) -> None:
    """Distances (views, *shape) that are not NaN and not negative, or SkfmError."""
    found = distances.shape
    if distances.ndim != 3 or found[1:] != shape or 0 in found:
        expected = f"(views, {shape[0]}, {shape[1]}), none of them 0"
        raise SkfmError(f"distances {what} have shape {found}", expected)
    if not (distances >= 0).all():
        raise SkfmError(f"distances {what} hold NaN or negative values", "distances")


def nearest_histograms(found: Mapping[str, Mapping[str, Findings]]) -> Figure:
    """Nearest distances in units of the limit: space → set → findings, a panel each.

    The first set, of test skulls, is filled.  Samples left of 1 are called
    copies; the last bin holds all from `FAR` on.
    """
    figure, axes = plt.subplots(
        1, len(found), figsize=(3.1 * len(found), 2.9), squeeze=False, sharey=True,
        layout="constrained",
    )  # fmt: skip
    edges = np.linspace(0, FAR, 31)
    for axis, (space, sets) in zip(axes[0], found.items()):
        for i, (name, findings) in enumerate(sets.items()):
            counts, _ = np.histogram(findings.by_limit.clip(max=FAR), edges)
            style = {"fill": i == 0, "color": COLOURS[i], "linewidth": 1.6 if i else 0}
            axis.stairs(counts / counts.sum(), edges, label=name, **style)
        axis.axvline(1, color="black", linewidth=1, linestyle=":")
        axis.text(0.95, 1.02, "copies", ha="right", va="bottom", fontsize=8,
                  transform=axis.get_xaxis_transform())  # fmt: skip
        axis.set_title(space, pad=14)
        axis.set(xlabel="nearest distance / limit", xlim=(0, FAR))
    axes[0, 0].set_ylabel("share of the set")
    axes[0, -1].legend(frameon=False, fontsize=9)
    return figure
