"""Where skulls are compared: in latents, in features, and voxel by voxel.

In each space a skull is a vector, and two skulls are as far apart as their vectors.
A copy may be mirrored; so every real skull is compared as it is and mirrored.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage
from skimage.measure import block_reduce
from torch import Tensor

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation.privacy.copy_detection import SHARE, Findings, RealSkulls
from skfm_lib.evaluation.privacy.planted_copies import Altered, disguises, mirror
from skfm_lib.metrics.feature_extraction import FeatureNetwork
from skfm_lib.models import VQVAE
from skfm_lib.training.latents import LatentSet, cache_latents
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

MEMORY = 2 * 2**30  # bytes of vectors that are held at once
CELLS = 64  # along the longest axis, at most, when voxels are compared
PART = 128  # volumes that are held at once for their features

Reader = Callable[[SkullSet, str], "Vectors"]


class Vectors:
    """A set of skulls as vectors: quality scores (n,), and rows read one by one.

    Rows are read once and kept, while all of them fit in `MEMORY`.
    """

    def __init__(self, qualities: Sequence[int], row: Callable[[int], Tensor]) -> None:
        self.qualities, self._row = np.asarray(qualities), row
        self._kept = {0: row(0)}
        self._keep = len(qualities) * self._kept[0].nbytes <= MEMORY

    def __len__(self) -> int:
        return len(self.qualities)

    def __getitem__(self, index: int) -> Tensor:
        row = self._kept[index] if index in self._kept else self._row(index)
        if self._keep:
            self._kept[index] = row
        return row

    def block(self, start: int, rows: int) -> Tensor:
        """Rows `start` … `start` + `rows` − 1, as far as there are, float64."""
        chosen = range(len(self))[start : start + rows]
        return torch.stack([self[i] for i in chosen]).double()


def distances(a: Vectors, b: Vectors, memory: int = MEMORY) -> np.ndarray:
    """Euclidean distances (n, m), float64, between the rows of two sets.

    Block by block, so that no more than `memory` bytes of rows are held.  Raises
    SkfmError where the rows differ in length.
    """
    if a[0].shape != b[0].shape:
        raise SkfmError(
            f"vectors of {len(a[0])} and {len(b[0])} numbers",
            "two sets in one space",
            "read both with the same networks and grid",
        )
    rows = max(1, memory // (2 * 8 * len(a[0])))
    apart = np.empty((len(a), len(b)))
    for i in range(0, len(a), rows):
        left = a.block(i, rows)
        for j in range(0, len(b), rows):
            apart[i : i + rows, j : j + rows] = torch.cdist(left, b.block(j, rows))
    return apart


@dataclass(frozen=True)
class Space:
    """One way to compare skulls.

    name            as it is printed
    read            (skulls, label) → vectors; the label names what is kept on disk
    within_quality  compare only skulls of the same quality score
    """

    name: str
    read: Reader
    within_quality: bool = False

    def views(self, skulls: SkullSet, label: str) -> tuple[Vectors, Vectors]:
        """A set as it is, and mirrored."""
        other = self.read(mirror(skulls), f"{label}-mirrored")
        return self.read(skulls, label), other

    def apart(self, these: Vectors, views: Sequence[Vectors]) -> np.ndarray:
        """Distances (views, n, m) from `these` to every view of other skulls.

        Infinite between scores that are not compared.
        """
        found = np.stack([distances(these, view) for view in views])
        if self.within_quality:
            found[:, these.qualities[:, None] != views[0].qualities] = np.inf
        return found


@dataclass(frozen=True)
class Bench:
    """The real skulls of a study in one space, ready to judge samples."""

    space: Space
    train: tuple[Vectors, Vectors]
    holdout: tuple[Vectors, Vectors]
    real: RealSkulls

    def judge(self, skulls: SkullSet, label: str, seed: int = 0) -> Findings:
        """What is found about a set of samples, by `RealSkulls.judge`."""
        these = self.space.read(skulls, label)
        sides = (self.space.apart(these, v) for v in (self.train, self.holdout))
        return self.real.judge(*sides, these.qualities, seed)

    def planted(self, train: SkullSet, items: Sequence[int]) -> dict[str, str]:
        """How many of the training skulls `items`, planted as samples, are found.

        For each of the `disguises`: those called copies, and those of them whose
        nearest training skull is the one that was planted.
        """
        row = {}
        for name, change in disguises(train.grid).items():
            copies = Altered(train, change, items)
            found = self.judge(copies, f"planted {name}")
            traced = found.copies & (found.which == np.asarray(items))
            row[name] = f"{found.copies.sum()} of {len(items)}, {traced.sum()} traced"
        return row


def bench(
    space: Space, train: SkullSet, holdout: SkullSet, share: float = SHARE
) -> Bench:
    """Read training and held-out skulls in a space; raises as `RealSkulls` does."""
    sides = space.views(train, "train"), space.views(holdout, "test")
    (plain, _), (held, _) = sides
    real = RealSkulls(
        plain.qualities,
        held.qualities,
        space.apart(plain, sides[0]),
        space.apart(held, sides[0]),
        share,
    )
    return Bench(space, *sides, real)


def latent_reader(
    model: VQVAE, device: Device, trained_on: Path, folder: Path
) -> Callable[[SkullSet, str], LatentSet]:
    """(skulls, label) → their latents by `model`, encoded once and kept on disk.

    trained_on  where stage 02 keeps the latents of label "train"
    folder      gets those of every other label, each in a folder of its name
    """

    def read(skulls: SkullSet, label: str) -> LatentSet:
        place = trained_on if label == "train" else folder / label
        cache_latents(model, skulls, place, device)
        return LatentSet(place, skulls)

    return read


def latent_space(read: Callable[[SkullSet, str], LatentSet]) -> Space:
    """Skulls as latents z before quantisation, as stage two sees them."""

    def vectors(skulls: SkullSet, label: str) -> Vectors:
        latents = read(skulls, label)
        return Vectors(skulls.qualities, lambda i: latents[i][0].flatten())

    return Space("latents", vectors)


def feature_space(network: FeatureNetwork, folder: Path) -> Space:
    """Skulls as feature vectors (`metrics.extract`), kept in `folder`."""

    def vectors(skulls: SkullSet, label: str) -> Vectors:
        items = list(range(len(skulls)))
        parts = [items[i : i + PART] for i in items[::PART]]
        found = [
            metrics.extract(network, volumes_of(skulls, part), cache=folder)
            for part in parts
        ]
        return Vectors(skulls.qualities, torch.cat(found).__getitem__)

    return Space("features", vectors)


def voxel_space() -> Space:
    """Skulls as volumes of the same quality score (`centred`): distance √(2 − 2r)."""

    def vectors(skulls: SkullSet, label: str) -> Vectors:
        return Vectors(skulls.qualities, lambda i: centred(skulls.occupancy(i)))

    return Space("voxels", vectors, within_quality=True)


def centred(bone: np.ndarray) -> Tensor:
    """A volume (D, H, W) bool as a vector whose dot products are correlations r.

    Moved so that the centre of its bone is the middle of the grid, averaged over
    cells of 2³ voxels (more, where more than 64 cells would lie along an axis), mean
    0 and norm 1.  All skulls lie in one frame, where moving a copy by one voxel takes
    it further than another person is; hence the move.  The centre is that of voxels
    with three neighbours of bone or more, so that stray voxels do not pull at it.  An
    empty volume is the zero vector, at distance 1 from all others.
    """
    volume = bone.astype(np.float32)
    solid = bone & (ndimage.uniform_filter(volume, 3, mode="constant") > 3.5 / 27)
    if solid.any():
        offset = (np.array(bone.shape) - 1) / 2 - ndimage.center_of_mass(solid)
        volume = ndimage.shift(volume, offset, order=1)
    cells = block_reduce(volume, max(2, ceil(max(bone.shape) / CELLS)), np.mean).ravel()
    cells -= cells.mean()
    return torch.from_numpy(cells / max(np.linalg.norm(cells), 1e-12))
