"""Copies of skulls, mirrored or disguised: what a search for copies must find."""

from collections.abc import Callable, Sequence

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.privacy.copy_detection import Findings

Change = Callable[[np.ndarray], np.ndarray]  # of a volume (D, H, W) bool

FLIPPED = 0.01  # share of voxels that a noised copy has changed
BELOW = ((0, 0), (0, 0), (1, 0))  # one layer of background under a volume


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
        self._keep = False  # the source does

    def occupancy(self, index: int) -> np.ndarray:
        """Bone of one skull, changed, bool (D, H, W)."""
        return self.change(self.source.occupancy(self.items[index]))


def mirrored(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """The volume (D, H, W) mirrored left to right, about the middle of its grid.

    Its axis is the one along which, by `grid`, x runs.
    """
    across = int(np.abs(grid.affine[0, :3]).argmax())
    return np.ascontiguousarray(np.flip(volume, across))


def mirror(skulls: SkullSet) -> Altered:
    """The same skulls, mirrored left to right."""
    return Altered(skulls, lambda volume: mirrored(volume, skulls.grid))


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
        "moved by a voxel": lambda volume: np.pad(volume, BELOW)[..., :-1],
    }


def side_by_side(
    findings: Findings, samples: SkullSet, train: SkullSet, count: int
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The most suspicious samples and the training skulls they are nearest to.

    Volumes (D, H, W) bool, most suspicious first; a training skull is mirrored where
    it is nearest so.
    """
    chosen = findings.suspicious(count)
    nearest = []
    for i in chosen:
        volume = train.occupancy(findings.which[i])
        nearest.append(mirrored(volume, train.grid) if findings.view[i] else volume)
    return [samples.occupancy(i) for i in chosen], nearest
