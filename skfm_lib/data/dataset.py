"""A data set on disk as a torch dataset."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import SPLITS, read_manifest
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

MEMORY = 2 * 2**30  # bytes of volumes that a SkullSet caches, packed 8 voxels a byte


class SkullSet(Dataset):
    """The skulls of one split.

    An item is a pair (v, quality): v is float32 (1, D, H, W), bone +1, background −1;
    quality is 2–6, or 0 for the scans of split "unlabelled", which have no score.
    Volumes are read once and cached as bits if the whole split fits in `MEMORY`.

    Raises:
        SkfmError: if the split is empty or its volumes differ in shape.
    """

    def __init__(self, folder: Path, split: str) -> None:
        self.folder = Path(folder)
        self.skulls = [s for s in read_manifest(self.folder) if s.split == split]
        if not self.skulls:
            found = f"{self.folder / 'manifest.csv'} has no skull of split {split!r}"
            raise SkfmError(found, " or ".join(SPLITS), "name another split")
        first, self.grid = read_volume(self.folder / self.skulls[0].file)
        self.shape = first.shape
        self._cached: dict[int, np.ndarray] = {}
        self._fits = len(self.skulls) * first.size // 8 <= MEMORY

    def __len__(self) -> int:
        return len(self.skulls)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        bone = torch.from_numpy(self.occupancy(index))
        return bone[None].float().mul_(2).sub_(1), self.qualities[index]

    @property
    def qualities(self) -> list[int]:
        """The quality scores in the order of the items."""
        return [skull.quality or 0 for skull in self.skulls]

    def occupancy(self, index: int) -> np.ndarray:
        """Bone of one skull, bool (D, H, W)."""
        if index in self._cached:
            bits = np.unpackbits(self._cached[index], count=int(np.prod(self.shape)))
            return bits.reshape(self.shape).view(bool)
        path = self.folder / self.skulls[index].file
        volume, _ = read_volume(path)
        if volume.shape != self.shape:
            found, first = f"{path}: {volume.shape} voxels", self.skulls[0].name
            expected = f"{self.shape}, as {first}"
            raise SkfmError(found, expected, "remove this data set and regenerate it")
        if self._fits:
            self._cached[index] = np.packbits(volume)
        return volume

    def load(self) -> "SkullSet":
        """Read every volume now, with progress, so that later access is fast."""
        if self._fits:
            for index in track(range(len(self)), "Reading skulls"):
                self.occupancy(index)
        return self


def volumes_of(skulls: SkullSet, chosen: Sequence[int] | None = None) -> Tensor:
    """The occupancies (n, 1, D, H, W) bool of all items, or of the `chosen` ones."""
    items = range(len(skulls)) if chosen is None else chosen
    return torch.from_numpy(np.stack([skulls.occupancy(i)[None] for i in items]))
