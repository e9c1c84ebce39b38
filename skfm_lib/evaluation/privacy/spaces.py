"""Search for copies in three spaces: latents, features, and voxels.

In each space a skull is a vector, and the distance of two skulls is the Euclidean
one.  Since a copy may be mirrored, real skulls are compared as they are and mirrored.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from scipy import ndimage
from skimage.measure import block_reduce
from torch import Tensor

from skfm_lib.data.bone_fractions import as_fraction, is_bone
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation.privacy import planted_copies
from skfm_lib.evaluation.privacy.copy_detection import SHARE, Findings, RealSkulls
from skfm_lib.evaluation.table1 import features_of
from skfm_lib.metrics.feature_extraction import FeatureNetwork
from skfm_lib.models import VQVAE
from skfm_lib.training.latents import LatentSet, cache_latents
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

MEMORY = 2 * 2**30  # bytes of vectors that `distances` holds at once
LONGEST = 64  # blocks along the longest axis, when voxels are compared
AT_ONCE = 128  # volumes that are held at once for their features


class Vectors(NamedTuple):
    """Skulls as vectors: quality scores (n,), and a function of the index."""

    qualities: np.ndarray
    row: Callable[[int], Tensor]

    def block(self, start: int, rows: int) -> Tensor:
        """Up to `rows` rows from `start` on, float64."""
        chosen = range(len(self.qualities))[start : start + rows]
        return torch.stack([self.row(i) for i in chosen]).double()


def distances(a: Vectors, b: Vectors, memory: int = MEMORY) -> np.ndarray:
    """Euclidean distances (n, m), float64, between the rows of two sets.

    Computed in blocks, so that at most `memory` bytes of rows are held.

    Raises:
        SkfmError: where the rows differ in length.
    """
    length, other = len(a.row(0)), len(b.row(0))
    if length != other:
        found = f"vectors of {length} and {other} numbers"
        remedy = "read both with the same networks and grid"
        raise SkfmError(found, "two sets in one space", remedy)
    rows = max(1, memory // (2 * 8 * length))
    result = np.empty((len(a.qualities), len(b.qualities)))
    for i in range(0, len(a.qualities), rows):
        left = a.block(i, rows)
        for j in range(0, len(b.qualities), rows):
            result[i : i + rows, j : j + rows] = torch.cdist(left, b.block(j, rows))
    return result


@dataclass(frozen=True)
class Space:
    """One way to compare skulls."""

    name: str
    read: Callable[[SkullSet, str], Vectors]  # of a set, labelled for files on disk
    within_quality: bool = False  # compare only skulls of equal quality score

    def views(self, skulls: SkullSet, label: str) -> tuple[Vectors, Vectors]:
        """A set as it is, and mirrored."""
        flipped = self.read(planted_copies.mirror(skulls), f"{label}-mirrored")
        return self.read(skulls, label), flipped

    def distances(self, these: Vectors, views: Sequence[Vectors]) -> np.ndarray:
        """Distances (views, n, m) to every view; infinite if not to be compared."""
        found = np.stack([distances(these, view) for view in views])
        if self.within_quality:
            found[:, these.qualities[:, None] != views[0].qualities] = np.inf
        return found


class Approach(NamedTuple):
    """How near a set comes to each real skull, in units of its next training skull.

    Attributes:
        train: (N,), nearest sample / nearest other training skull.
        holdout: (M,), nearest sample / nearest training skull.
        copies: (N,), samples that are called copies of the training skull.
    """

    train: np.ndarray
    holdout: np.ndarray
    copies: np.ndarray


class CopySearch:
    """A search for copies of training skulls in one space.

    The limits are set by the skulls `holdout`, those of the validation.  They are those
    of `RealSkulls`, and so are the errors that it raises.
    """

    def __init__(
        self, space: Space, train: SkullSet, holdout: SkullSet, share: float = SHARE
    ) -> None:
        self.space, self.skulls = space, train
        self.train = plain, _ = space.views(train, "train")
        self.holdout = held, _ = space.views(holdout, "validation")
        within, across = (space.distances(v, self.train) for v in (plain, held))
        self.real = RealSkulls(plain.qualities, held.qualities, within, across, share)

    def compare(self, samples: SkullSet, label: str, seed: int = 0) -> Findings:
        """The findings for a set; `label` names what is kept of it on disk."""
        these = self.space.read(samples, label)
        to_train = self.space.distances(these, self.train)
        to_holdout = self.space.distances(these, self.holdout)
        return self.real.compare(to_train, to_holdout, these.qualities, seed)

    def approach(self, samples: SkullSet, label: str) -> Approach:
        """How near a set, labelled as for `compare`, comes to each real skull."""
        these = self.space.read(samples, label)
        to_train = self.space.distances(these, self.train)
        to_holdout = self.space.distances(these, self.holdout)
        real, scores = self.real, these.qualities
        found = real.compare(to_train, to_holdout, scores)
        among = real.train_train.min(axis=0)
        np.fill_diagonal(among, np.inf)
        near = [one.min(axis=(0, 1)) for one in (to_train, to_holdout)]
        own = among.min(axis=1), real.holdout_train.min(axis=(0, 2))
        count = np.bincount(found.which[found.copies], minlength=found.skulls)
        return Approach(near[0] / own[0], near[1] / own[1], count)

    def planted(
        self,
        items: Sequence[int],
        more: Mapping[str, planted_copies.Change] | None = None,
    ) -> dict[str, str]:
        """How many of the training skulls `items`, planted as samples, are found.

        For each of the `disguises`, and of those in `more`: the number called copies,
        and the number of those whose nearest training skull is the one that was
        planted.
        """
        row, changes = {}, planted_copies.disguises(self.skulls.grid)
        for name, change in {**changes, **(more or {})}.items():
            copies = planted_copies.Altered(self.skulls, items, change)
            found = self.compare(copies, f"planted {name}")
            traced = found.copies & (found.which == np.asarray(items))
            row[name] = f"{found.copies.sum()} of {len(items)}, {traced.sum()} traced"
        return row

    def most_suspicious(
        self, findings: Findings, samples: SkullSet, count: int
    ) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """The most suspicious samples, and the views of training skulls next to them.

        Volumes (D, H, W), bits or bytes, most suspicious first.
        """
        views = (self.skulls, planted_copies.mirror(self.skulls))
        chosen = findings.suspicious(count)
        which, view = findings.which.tolist(), findings.view.tolist()
        nearest = [views[view[i]].volume(which[i]) for i in chosen]
        return [samples.volume(i) for i in chosen], nearest


def latent_reader(
    model: VQVAE, device: Device, trained_on: Path, folder: Path
) -> Callable[[SkullSet, str], LatentSet]:
    """(skulls, label) → their latents by `model`, encoded once and kept on disk.

    Those of the label "train" are kept in `trained_on`, by stage 02, others in
    subfolders of `folder`.
    """

    def read(skulls: SkullSet, label: str) -> LatentSet:
        target = trained_on if label == "train" else folder / label
        cache_latents(model, skulls, target, device)
        return LatentSet(target, skulls)

    return read


def latent_space(read: Callable[[SkullSet, str], LatentSet]) -> Space:
    """Skulls as latents z before quantisation, from a `latent_reader`."""

    def vectors(skulls: SkullSet, label: str) -> Vectors:
        latents = read(skulls, label)
        return Vectors(np.array(skulls.qualities), lambda i: latents[i][0].flatten())

    return Space("latents", vectors)


def feature_space(network: FeatureNetwork, folder: Path) -> Space:
    """Skulls as vectors of features, kept in `folder`."""

    def vectors(skulls: SkullSet, label: str) -> Vectors:
        items = range(len(skulls))
        parts = [items[i : i + AT_ONCE] for i in items[::AT_ONCE]]
        found = [features_of(network, volumes_of(skulls, p), folder) for p in parts]
        features = torch.from_numpy(np.concatenate(found))
        return Vectors(np.array(skulls.qualities), features.__getitem__)

    return Space("features", vectors)


def voxel_space() -> Space:
    """Skulls as `centred` volumes, within quality scores: distance ``√(2 − 2r)``."""

    def vectors(skulls: SkullSet, label: str) -> Vectors:
        rows = [centred(skulls.volume(i)) for i in range(len(skulls))]
        return Vectors(np.array(skulls.qualities), rows.__getitem__)

    return Space("voxels", vectors, within_quality=True)


def centred(skull: np.ndarray) -> Tensor:
    """Bits or bytes (D, H, W) as a vector whose dot products are correlations r.

    The centre of the bone is moved to the middle of the grid: without this, a shift
    by one voxel would take a copy farther than another person's skull.  The volume
    is averaged over blocks of 2³ voxels (or more, for at most 64 blocks along an
    axis) and scaled to mean 0 and norm 1.  An empty volume is the zero vector.
    """
    volume, bone = as_fraction(skull), is_bone(skull)
    # Voxels with three neighbours of bone or more: stray voxels do not count.
    around = ndimage.uniform_filter(bone.astype(np.float32), 3, mode="constant")
    solid = bone & (around > 3.5 / 27)
    if solid.any():
        offset = (np.array(bone.shape) - 1) / 2 - ndimage.center_of_mass(solid)
        volume = ndimage.shift(volume, offset, order=1)
    width = max(2, ceil(max(bone.shape) / LONGEST))
    blocks = block_reduce(volume, width, np.mean).ravel()
    blocks -= blocks.mean()
    return torch.from_numpy(blocks / max(np.linalg.norm(blocks), 1e-12))
