"""The dental arches and the mandible seen from within, and the holes in them."""

from functools import lru_cache

import numpy as np

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.ray_casting import Rays, openings

AXIS = (0.0, 42.0)  # x and y, mm: amid the mouth, 45 mm behind the front teeth
TURNS = np.deg2rad(np.arange(-125.0, 126.0, 3.0))  # from the front; right is positive
LEVELS = np.arange(-112.0, -16.0, 3.0)  # z, mm: below any chin to above the palate
NEAREST, FARTHEST = 8.0, 75.0  # mm from the axis
WALL = 45.0  # mm, distance of the arches, for the area of a pixel
GAP = 4  # rays, 9 mm wide and 12 mm high; single lost teeth leave no more
PIXEL = WALL * np.deg2rad(3.0) * 3.0 / 100  # cm²


def jaw_holes(bone: np.ndarray, grid: Grid) -> float:
    """Openings (cm²) in the wall of teeth and mandible that no lower border explains.

    Rays leave the axis of the mouth horizontally.  The skull, or the scan, ends below
    at a border that sinks towards its lowest place and rises beyond; of all such
    borders the one that explains the map best counts: open pixels above it, and
    closed ones below.  Gaps of single teeth do not count.
    """
    gaps = openings(_rays(grid).first(bone), GAP)
    none = np.zeros((len(gaps), 1))
    closed_below = np.hstack([none, np.cumsum(~gaps, axis=1)])
    open_above = np.hstack([np.cumsum(gaps[:, ::-1], axis=1)[:, ::-1], none])
    cost = closed_below + open_above
    either = _sinking(cost) + _sinking(cost[::-1])[::-1] - cost
    return float(either.min() * PIXEL)


def _sinking(cost: np.ndarray) -> np.ndarray:
    """Least sums of cost (turns, levels) over borders that only sink, ending there."""
    total = cost.copy()
    for before, here in zip(total, total[1:]):
        here += np.minimum.accumulate(before[::-1])[::-1]
    return total


@lru_cache(maxsize=2)
def _rays(grid: Grid) -> Rays:
    turn, level = np.meshgrid(TURNS, LEVELS, indexing="ij")
    flat = np.zeros_like(turn)
    origins = np.stack([flat + AXIS[0], flat + AXIS[1], level], axis=-1)
    units = np.stack([np.sin(turn), np.cos(turn), flat], axis=-1)
    return Rays.on(grid, origins, units, NEAREST, FARTHEST)
