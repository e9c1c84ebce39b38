"""Rays through a volume, and which of them meet bone."""

from dataclasses import dataclass

import numpy as np
from scipy import ndimage

from skfm_lib.data.voxels import Grid


@dataclass(frozen=True)
class Rays:
    """A map of rays on a grid.

    index  (a, b, steps) int32, flat voxel index along each ray; one past the last
           voxel stands for all that lies outside
    radii  (steps,) float32, mm from the rays' origins
    """

    index: np.ndarray
    radii: np.ndarray

    @classmethod
    def on(
        cls, grid: Grid, origins: np.ndarray, units: np.ndarray, near: float, far: float
    ) -> "Rays":
        """Rays from `origins` along `units` (a, b, 3), RAS mm, half a voxel a step."""
        radii = np.arange(near, far, grid.spacing / 2, dtype=np.float32)
        points = origins[..., None, :] + units[..., None, :] * radii[:, None]
        index = np.rint(grid.to_index(points.reshape(-1, 3))).astype(int)
        inside = ((index >= 0) & (index < grid.shape)).all(axis=1)
        flat = np.full(len(index), np.prod(grid.shape), np.int32)
        flat[inside] = np.ravel_multi_index(tuple(index[inside].T), grid.shape)
        return cls(flat.reshape(points.shape[:3]), radii)

    def first(self, bone: np.ndarray) -> np.ndarray:
        """Distance (mm) to the first bone along each ray (a, b); NaN if none is met."""
        hits = np.append(bone.ravel(), False)[self.index]
        first = self.radii[hits.argmax(axis=-1)]
        return np.where(hits.any(axis=-1), first, np.float32(np.nan))


def openings(first: np.ndarray, width: int) -> np.ndarray:
    """Rays (a, b) that meet no bone, in gaps at least `width` rays wide and high."""
    gaps = np.pad(np.isnan(first), width, mode="edge")
    wide = ndimage.binary_opening(gaps, np.ones((width, width)))
    return wide[width:-width, width:-width]
