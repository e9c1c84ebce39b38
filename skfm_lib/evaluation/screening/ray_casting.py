"""Ray casting: openings in a map of rays, and those of the jaws."""

from functools import lru_cache

import numpy as np
from scipy import ndimage

from skfm_lib.data.bone_fractions import surface_field
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.anatomy import TEETH

MOUTH = (0.0, 42.0)  # x and y of its axis, mm: 45 mm behind the front teeth
TURNS = np.deg2rad(np.arange(-125.0, 126.0, 3.0))  # from the front; right is positive
LEVELS = np.arange(-112.0, -16.0, 3.0)  # z, mm: below any chin to above the palate
NEAREST, FARTHEST = 8.0, 75.0  # mm from the axis
PIXEL = 45.0 * np.deg2rad(3.0) * 3.0 / 100  # cm², at 45 mm, the distance of the wall
GAP = 4  # rays, 9 mm wide and 12 mm high; a single lost tooth leaves less
LOST_TEETH = 30.0  # mm; toothless jaws are up to 27 mm apart, where crowns have been


class Rays:
    """Rays from `start` along `units` (a, b, 3), RAS mm, sampled every `step` voxels.

    Bone is what lies within the skull's surface (`surface_field`).  Thin walls at a
    slant have gaps between the bits of their voxels.
    """

    def __init__(
        self,
        grid: Grid,
        start: np.ndarray,
        units: np.ndarray,
        near: float,
        far: float,
        step: float = 0.5,
    ) -> None:
        radii = np.arange(near, far, grid.spacing * step, dtype=np.float32)
        points = start[..., None, :] + units[..., None, :] * radii[:, None]
        index = grid.to_index(points.reshape(-1, 3)).T.astype(np.float32)
        self.grid, self.radii = grid, radii
        self.index = index.reshape(3, *points.shape[:3])

    def first(self, volume: np.ndarray) -> np.ndarray:
        """Distance (a, b) to the first bone along each ray, mm; NaN without bone."""
        return self.first_above(surface_field(volume, self.grid))

    def first_above(self, field: np.ndarray) -> np.ndarray:
        """The same to where a field (D, H, W) of the grid is above 0."""
        hits = ndimage.map_coordinates(field, self.index, order=1, cval=-1.0) > 0
        first = self.radii[hits.argmax(axis=-1)]
        return np.where(hits.any(axis=-1), first, np.float32(np.nan))


def openings(first: np.ndarray, width: int) -> np.ndarray:
    """Rays (a, b) without bone, in gaps at least `width` rays wide and high."""
    gaps = np.pad(np.isnan(first), width, mode="edge")
    wide = ndimage.binary_opening(gaps, np.ones((width, width), bool))
    return wide[width:-width, width:-width]


def jaw_holes(volume: np.ndarray, grid: Grid) -> float:
    """Openings (cm²) in the wall of teeth and mandible, seen from within the mouth.

    Skull or scan end below at a border that descends to its lowest point and then
    rises.  The result is the least area, over all such borders, of open pixels above
    and closed pixels below.  Gaps of lost teeth, of one or of all, do not count.
    """
    gaps = openings(_jaw_rays(grid).first(volume), GAP)
    gaps &= ~_lost_teeth(gaps)
    # Cost (turns, levels + 1) of a border below each level, turn by turn.
    none = np.zeros((len(gaps), 1))
    closed_below = np.hstack([none, np.cumsum(~gaps, axis=1)])
    open_above = np.hstack([np.cumsum(gaps[:, ::-1], axis=1)[:, ::-1], none])
    cost = closed_below + open_above
    # Borders that descend to a turn from either side; its own cost is in both.
    either = _descending(cost) + _descending(cost[::-1])[::-1] - cost
    return float(either.min() * PIXEL)


def _lost_teeth(gaps: np.ndarray) -> np.ndarray:
    """Open pixels (turns, levels) at the crowns of lost teeth.

    They are runs of levels with bone above and below, at most LOST_TEETH high, and
    what a scan that ends below shows of such a gap.
    """
    along = np.array([[0, 0, 0], [1, 1, 1], [0, 0, 0]])
    runs, count = ndimage.label(gaps, along)
    high = np.bincount(runs.ravel(), minlength=count + 1) * (LEVELS[1] - LEVELS[0])
    crowns = (LEVELS >= TEETH[2][0]) & (LEVELS <= TEETH[2][1])
    between = np.isin(np.arange(count + 1), runs[:, crowns]) & (high <= LOST_TEETH)
    between[runs[:, [0, -1]]] = between[0] = False
    nothing_below = np.logical_and.accumulate(gaps, axis=1)
    return between[runs] | (nothing_below & crowns)


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
