"""Ray casting: openings in a map of rays, and those of the jaws."""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from skfm_lib.data.voxels import Grid

MOUTH = (0.0, 42.0)  # x and y of its axis, mm: 45 mm behind the front teeth
TURNS = np.deg2rad(np.arange(-125.0, 126.0, 3.0))  # from the front; right is positive
LEVELS = np.arange(-112.0, -16.0, 3.0)  # z, mm: below any chin to above the palate
NEAREST, FARTHEST = 8.0, 75.0  # mm from the axis
PIXEL = 45.0 * np.deg2rad(3.0) * 3.0 / 100  # cm², at 45 mm, the distance of the wall
GAP = 4  # rays, 9 mm wide and 12 mm high; a single lost tooth leaves less


class Rays:
    """Rays from `start` along `units` (a, b, 3), RAS mm, sampled every half voxel."""

    def __init__(
        self, grid: Grid, start: np.ndarray, units: np.ndarray, near: float, far: float
    ) -> None:
        radii = np.arange(near, far, grid.spacing / 2, dtype=np.float32)
        points = start[..., None, :] + units[..., None, :] * radii[:, None]
        index = np.rint(grid.to_index(points.reshape(-1, 3))).astype(int)
        inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
        # Flat voxel index; outside the grid, one past the last voxel.
        flat = np.full(len(index), np.prod(grid.shape), np.int32)
        flat[inside] = np.ravel_multi_index(tuple(index[inside].T), grid.shape)
        self.index, self.radii = flat.reshape(points.shape[:3]), radii

    def first(self, bone: np.ndarray) -> np.ndarray:
        """Distance (a, b) to the first bone along each ray, mm; NaN without bone."""
        hits = np.append(bone.ravel(), False)[self.index]
        first = self.radii[hits.argmax(axis=-1)]
        return np.where(hits.any(axis=-1), first, np.float32(np.nan))


def openings(first: np.ndarray, width: int) -> np.ndarray:
    """Rays (a, b) without bone, in gaps at least `width` rays wide and high."""
    gaps = np.pad(np.isnan(first), width, mode="edge")
    wide = ndimage.binary_opening(gaps, np.ones((width, width), bool))
    return wide[width:-width, width:-width]


def jaw_holes(bone: np.ndarray, grid: Grid) -> float:
    """Openings (cm²) in the wall of teeth and mandible, seen from within the mouth.

    Skull or scan end below at a border that descends to its lowest point and then
    rises.  The result is the least area, over all such borders, of open pixels above
    and closed pixels below.  Gaps of single teeth do not count.
    """
    gaps = openings(_jaw_rays(grid).first(bone), GAP)
    # Cost (turns, levels + 1) of a border below each level, turn by turn.
    none = np.zeros((len(gaps), 1))
    closed_below = np.hstack([none, np.cumsum(~gaps, axis=1)])
    open_above = np.hstack([np.cumsum(gaps[:, ::-1], axis=1)[:, ::-1], none])
    cost = closed_below + open_above
    # Borders that descend to a turn from either side; its own cost is in both.
    either = _descending(cost) + _descending(cost[::-1])[::-1] - cost
    return float(either.min() * PIXEL)


def _descending(cost: np.ndarray) -> np.ndarray:
    """Least sums of `cost` over borders that never rise, ending at (turn, level)."""
    total = cost.copy()
    for before, here in zip(total, total[1:]):
        here += np.minimum.accumulate(before[::-1])[::-1]
    return total


@lru_cache(maxsize=2)
def _jaw_rays(grid: Grid) -> Rays:
    turn, level = np.meshgrid(TURNS, LEVELS, indexing="ij")
    flat = np.zeros_like(turn)
    origins = np.stack([flat + MOUTH[0], flat + MOUTH[1], level], axis=-1)
    units = np.stack([np.sin(turn), np.cos(turn), flat], axis=-1)
    return Rays(grid, origins, units, NEAREST, FARTHEST)
