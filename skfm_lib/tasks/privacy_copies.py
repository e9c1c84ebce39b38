"""Copies of skulls, mirrored or disguised: what a search for copies must find."""

from collections.abc import Callable, Sequence

import numpy as np

from skfm_lib.data.skulls import SkullSet
from skfm_lib.data.voxels import Grid

Change = Callable[[np.ndarray], np.ndarray]  # of a volume (D, H, W) bool

FLIPPED = 0.01  # share of voxels that a noised copy has changed


class Altered(SkullSet):
    """Skulls of another set, each changed as it is read; names and scores stay.

    items  the skulls of `source` that are taken; all of them by default
    """

    def __init__(
        self, source: SkullSet, change: Change, items: Sequence[int] | None = None
    ) -> None:
        self.items = list(range(len(source)) if items is None else items)
        self.source, self.change = source, change
        self.folder, self.grid, self.shape = source.folder, source.grid, source.shape
        self.skulls = [source.skulls[i] for i in self.items]

    def occupancy(self, index: int) -> np.ndarray:
        """Bone of one skull, changed, bool (D, H, W)."""
        return self.change(self.source.occupancy(self.items[index]))


def mirrored(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """The volume (D, H, W) mirrored left to right, about the middle of its grid.

    Its axis is the one along which, by `grid`, x runs.
    """
    across = int(np.abs(grid.affine[0, :3]).argmax())
    return np.ascontiguousarray(np.flip(volume, across))


def disguises(grid: Grid, seed: int = 0) -> dict[str, Change]:
    """Ways to plant a copy: what each does to a volume (D, H, W).

    The flipped voxels are chosen by chance, 1 % of the grid, the same in every skull;
    a copy moved up by a voxel loses its uppermost layer.
    """
    noise = np.random.default_rng(seed).random(grid.shape) < FLIPPED
    return {
        "as it is": lambda volume: volume,
        "mirrored": lambda volume: mirrored(volume, grid),
        "1 % of voxels flipped": lambda volume: volume ^ noise,
        "moved by a voxel": lambda volume: np.pad(volume, _BELOW)[..., :-1],
    }


_BELOW = ((0, 0), (0, 0), (1, 0))  # one layer of background under the volume
