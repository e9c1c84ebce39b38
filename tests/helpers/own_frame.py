"""Phantoms in the frame that their own anatomy has, which a registration can find."""

import numpy as np
import pyvista as pv

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom.template import pose
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets.grid_sizes import scaled_shape

SHAPE = scaled_shape(1 / 8)
GRID = skull_grid(SHAPE)
X, Y, Z = np.meshgrid(*GRID.axes(), indexing="xy")  # of the voxels, mm


def whole_or_part(
    seed: int, quality: int, part: np.ndarray | bool = True
) -> pv.PolyData:
    """Surface of a phantom, or of what is left of it where `part` (SHAPE) is true."""
    bone = np.where(part, phantom_skull(seed, quality, SHAPE), 0).astype(np.uint8)
    return skull_surface(bone, GRID)


def own_skull(seed: int, quality: int, part: np.ndarray | bool = True) -> pv.PolyData:
    """The same in the phantom's own frame: the residual pose is undone."""
    mesh = whole_or_part(seed, quality, part)
    rotation, shift = pose(seed)
    mesh.points = (mesh.points - shift) @ rotation
    return mesh
