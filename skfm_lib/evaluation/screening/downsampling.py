"""Volumes of bone, checked, and in coarser cells."""

import numpy as np

from skfm_lib.data.voxels import Grid
from skfm_lib.utils.errors import SkfmError

CORNERS = np.ones((3, 3, 3), bool)  # bone joins over corners, air over faces only
PIECE = 0.5  # cm³; less bone is a crumb: up to seven voxels at preset quick
FINE, COARSE = 4.0, 8.0  # mm, cells of judge and symmetry, and of the shape model


def check_bone(bone: np.ndarray, grid: Grid) -> None:
    """SkfmError unless `bone` is a volume on `grid` with bone in it."""
    if bone.shape != grid.shape or bone.dtype != bool:
        raise SkfmError(
            f"a volume of {bone.shape} {bone.dtype}",
            f"occupancy {grid.shape} bool, as its grid has",
            "read it with SkullSet.occupancy",
        )
    if not bone.any():
        raise SkfmError("a volume without bone", "a skull", "generate it again")


def block(grid: Grid, edge: float) -> int:
    """Voxels along the edge of a block of about `edge` mm."""
    return max(1, round(edge / grid.spacing))


def blocks(bone: np.ndarray, grid: Grid, edge: float) -> np.ndarray:
    """Share of bone in blocks of about `edge` mm (at least a voxel), float32."""
    f = block(grid, edge)
    padded = np.pad(bone, [(0, -n % f) for n in bone.shape])
    d, h, w = (n // f for n in padded.shape)
    return padded.reshape(d, f, h, f, w, f).mean(axis=(1, 3, 5), dtype=np.float32)
