"""A data set on disk as a torch dataset."""

from collections.abc import Sequence
from pathlib import Path
from typing import overload

import numpy as np
import pyvista as pv
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skfm_lib.data.bone_fractions import (
    is_bone,
    network_values,
    skull_surface,
)
from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import SPLITS, Skull, read_manifest
from skfm_lib.utils import memory
from skfm_lib.utils.device import on_cpu
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

KINDS = {np.dtype(bool): "bits", np.dtype(np.uint8): "fractions"}
SHARE = 4  # of the free memory, one part in so many is for the volumes of a set


class SkullSet(Dataset):
    """The skulls of one split, of the `rows` of the manifest, or of others.

    An item is a pair (v, quality): v is float32 (1, D, H, W) in [−1, 1], bone above 0
    (`network_values`); quality is 2–6, or 0 for the scans of split "unlabelled", which
    have no score.  Volumes are read once and cached as bits or bytes, as many as fit in
    a part of the memory.

    Raises:
        SkfmError: if the split is empty, or its volumes differ in shape or kind.
    """

    def __init__(
        self, folder: Path, split: str, rows: Sequence[Skull] | None = None
    ) -> None:
        self.folder = Path(folder)
        rows = read_manifest(self.folder) if rows is None else rows
        self.skulls = [skull for skull in rows if skull.split == split]
        if not self.skulls:
            found = f"{self.folder / 'manifest.csv'} has no skull of split {split!r}"
            raise SkfmError(found, " or ".join(SPLITS), "name another split")
        first, self.grid = read_volume(self.folder / self.skulls[0].file)
        self.shape, self.kind = first.shape, first.dtype
        self._cached: dict[int, np.ndarray] = {}
        self._room = memory.available() // SHARE // max(1, _packed(first).nbytes)

    def __len__(self) -> int:
        return len(self.skulls)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        volume = torch.from_numpy(self.volume(index))
        return network_values(volume)[None], self.qualities[index]

    @property
    def qualities(self) -> list[int]:
        """The quality scores in the order of the items."""
        return [skull.quality or 0 for skull in self.skulls]

    def volume(self, index: int) -> np.ndarray:
        """One skull as it is stored: bits (bool) or bytes (uint8), (D, H, W)."""
        stored = self._stored(index)
        if self.kind == np.dtype(bool):
            bits = np.unpackbits(stored, count=int(np.prod(self.shape)))
            return bits.view(bool).reshape(self.shape)
        return stored.reshape(self.shape).copy()

    def occupancy(self, index: int) -> np.ndarray:
        """Bone of one skull, bool (D, H, W): a fraction above LEVEL."""
        return is_bone(self.volume(index))

    def surface(self, index: int) -> pv.PolyData:
        """The closed surface of one skull, RAS mm."""
        return skull_surface(self.volume(index), self.grid)

    def packed(self, chosen: Sequence[int]) -> Tensor:
        """Some skulls as stored, uint8 (n, ⌈D·H·W / 8⌉) or (n, D·H·W): `unpacked`."""
        return torch.from_numpy(np.stack([self._stored(index) for index in chosen]))

    def _stored(self, index: int) -> np.ndarray:
        if (stored := self._cached.get(index)) is None:
            stored = _packed(self._read(index))
            if len(self._cached) < self._room:
                self._cached[index] = stored
        return stored

    def _read(self, index: int) -> np.ndarray:
        path = self.folder / self.skulls[index].file
        volume, _ = read_volume(path)
        if (volume.shape, volume.dtype) != (self.shape, self.kind):
            found = f"{path}: {volume.shape} voxels of {KINDS[volume.dtype]}"
            first = f"{self.shape} of {KINDS[self.kind]}, as {self.skulls[0].name}"
            raise SkfmError(found, first, "remove this data set and regenerate it")
        return volume

    def load(self) -> "SkullSet":
        """Read every volume now, with progress, so that later access is fast."""
        if len(self) <= self._room:
            for index in track(range(len(self)), "Reading skulls"):
                self._stored(index)
        return self


class Volumes(Sequence[Tensor]):
    """The volumes (1, D, H, W) of some skulls as stored, bool or uint8, on demand."""

    def __init__(self, skulls: SkullSet, chosen: Sequence[int]) -> None:
        self.skulls, self.chosen = skulls, chosen

    def __len__(self) -> int:
        return len(self.chosen)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> "Volumes": ...
    def __getitem__(self, index: int | slice) -> "Tensor | Volumes":
        if isinstance(index, slice):
            return Volumes(self.skulls, self.chosen[index])
        return torch.from_numpy(self.skulls.volume(self.chosen[index])[None])


def volumes_of(skulls: SkullSet, chosen: Sequence[int] | None = None) -> Volumes:
    """The volumes of all items, or of the `chosen` ones."""
    return Volumes(skulls, range(len(skulls)) if chosen is None else chosen)


def unpacked(stored: Tensor, shape: Sequence[int]) -> Tensor:
    """Volumes v (n, 1, D, H, W) in [−1, 1], from `SkullSet.packed`, on its device.

    >>> unpacked(torch.tensor([[0b10100000]], dtype=torch.uint8), (1, 1, 3)).tolist()
    [[[[[1.0, -1.0, 1.0]]]]]
    """
    count = int(np.prod(shape))
    if stored.shape[1] == count:
        return network_values(stored).view(len(stored), 1, *shape)
    if on_cpu(stored):
        flat = torch.from_numpy(np.unpackbits(stored.numpy(), axis=1, count=count))
    else:
        shifts = torch.arange(7, -1, -1, device=stored.device, dtype=torch.uint8)
        flat = ((stored[:, :, None] >> shifts) & 1).flatten(1)[:, :count]
    return flat.view(len(stored), 1, *shape).float().mul_(2).sub_(1)


def _packed(volume: np.ndarray) -> np.ndarray:
    """A volume as it is cached, flat uint8."""
    return np.packbits(volume) if volume.dtype == bool else volume.ravel()
