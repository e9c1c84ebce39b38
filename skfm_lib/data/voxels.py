"""The voxel grid and its place in millimetres.

The one module that states how index order and patient space belong together:
a volume is indexed ``[i, j, k]`` = (D, H, W) = (posterior→anterior, left→right,
inferior→superior), a point is ``(x, y, z)`` = RAS+ millimetres (right, anterior,
superior).  So ``i`` runs with y, ``j`` with x and ``k`` with z.

The skull frame is the craniometric one: its origin lies midway between the two
ear openings (porion), and the Frankfurt plane (ear openings and lower orbital
rims) is horizontal.  The paper's 456×352×512 grid at 0.51 mm (§3.3) is centred on
``FRAME_CENTRE`` in that frame.
"""

from dataclasses import dataclass

import numpy as np
import pyvista as pv
from skimage.measure import marching_cubes
from vtkmodules.vtkImagingStencil import (
    vtkImageStencilToImage,
    vtkPolyDataToImageStencil,
)

from skfm_lib.presets.grid_sizes import PAPER_SHAPE, PAPER_SPACING, Shape
from skfm_lib.utils.errors import SkfmError

SLAB = 40_000  # triangles; VTK looks at all of them in every slice
FRAME_CENTRE = (0.0, 9.0, 6.0)  # mm; leaves ≥ 15 mm around a complete adult skull


@dataclass(frozen=True)
class Grid:
    """A regular isotropic voxel grid in RAS+ millimetres.

    shape    voxels along (D, H, W) = (y, x, z)
    spacing  edge of a voxel, mm
    origin   (x, y, z) of the *centre* of voxel [0, 0, 0], mm
    """

    shape: Shape
    spacing: float
    origin: tuple[float, float, float]

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel-centre coordinates (x of H, y of D, z of W), mm, float32, 1-D each."""
        depth, height, width = self.shape
        counts = (height, depth, width)
        return tuple(
            (o + self.spacing * np.arange(n)).astype(np.float32)
            for o, n in zip(self.origin, counts, strict=True)
        )

    @property
    def affine(self) -> np.ndarray:
        """4×4 matrix from homogeneous index (i, j, k, 1) to RAS (x, y, z, 1), mm."""
        matrix = np.zeros((4, 4))
        matrix[1, 0] = matrix[0, 1] = matrix[2, 2] = self.spacing
        matrix[:3, 3], matrix[3, 3] = self.origin, 1.0
        return matrix

    def to_mm(self, index: np.ndarray) -> np.ndarray:
        """RAS points (n, 3) in mm of the (fractional) indices (n, 3)."""
        return index @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, points: np.ndarray) -> np.ndarray:
        """Fractional indices (n, 3) of the RAS points (n, 3) in mm."""
        return (points - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T

    def refined(self, factor: int) -> "Grid":
        """The grid that splits every voxel into `factor`³."""
        shape = tuple(n * factor for n in self.shape)
        shift = self.spacing * (1 - 1 / factor) / 2
        origin = tuple(o - shift for o in self.origin)
        return Grid(shape, self.spacing / factor, origin)


def skull_grid(shape: Shape = PAPER_SHAPE) -> Grid:
    """The paper's field of view sampled with `shape` voxels, in the skull frame.

    The spacing is the paper's 0.51 mm times the coarsest axis ratio, so that no
    axis covers less than the paper's field of view; the centre stays in place.
    Spacing and origin are whole multiples of 1e-5 mm, which survive a NIfTI header.
    """
    ratio = max(full / n for full, n in zip(PAPER_SHAPE, shape, strict=True))
    spacing = round(PAPER_SPACING * ratio, 5)
    depth, height, width = shape
    extent = spacing * (np.array([height, depth, width]) - 1)
    origin = np.array(FRAME_CENTRE) - extent / 2
    return Grid(tuple(shape), spacing, tuple(round(float(o), 5) for o in origin))


def voxelise(mesh: pv.PolyData, grid: Grid) -> np.ndarray:
    """Bone (D, H, W) bool: the voxels whose centre lies inside the mesh.

    VTK's image stencil, slice by slice along z: seconds at 512³, nested surfaces
    count as holes, the orientation of the triangles does not matter, and a contour
    that is open (a skull cut by the field of view) is closed between its loose ends.
    Parts outside the grid are dropped.
    """
    depth, height, width = grid.shape
    bone = np.empty(grid.shape, bool)
    faces, z = mesh.regular_faces, mesh.points[:, 2]
    reach = z[faces].min(axis=1), z[faces].max(axis=1)
    slabs = min(width, 1 + len(faces) // SLAB)
    for layers in np.array_split(np.arange(width), slabs):
        low, high = grid.origin[2] + grid.spacing * layers[[0, -1]]
        near = (reach[0] <= high + grid.spacing) & (reach[1] >= low - grid.spacing)
        part = pv.PolyData.from_regular_faces(mesh.points, faces[near])
        shape, origin = (depth, height, len(layers)), (*grid.origin[:2], low)
        bone[:, :, layers] = _stencil(part, Grid(shape, grid.spacing, origin))
    return bone


def _stencil(mesh: pv.PolyData, grid: Grid) -> np.ndarray:
    depth, height, width = grid.shape
    if mesh.n_cells == 0:
        return np.zeros(grid.shape, bool)
    stencil = vtkPolyDataToImageStencil()
    stencil.SetInputData(mesh)
    stencil.SetOutputOrigin(grid.origin)
    stencil.SetOutputSpacing([grid.spacing] * 3)
    stencil.SetOutputWholeExtent(0, height - 1, 0, depth - 1, 0, width - 1)
    painter = vtkImageStencilToImage()
    painter.SetInputConnection(stencil.GetOutputPort())
    painter.SetInsideValue(1)
    painter.SetOutsideValue(0)
    painter.SetOutputScalarTypeToUnsignedChar()
    painter.Update()
    values = pv.wrap(painter.GetOutput()).point_data.active_scalars
    zyx = np.asarray(values).reshape(width, depth, height)
    return zyx.transpose(1, 2, 0).view(bool)


def surface(field: np.ndarray, grid: Grid, level: float) -> pv.PolyData:
    """The closed surface of ``field > level`` in RAS mm, normals outward.

    field  (D, H, W): occupancy (level 0.5) or real values (level 0 for a decoder)

    The field is padded with background, so that surfaces close at the border.
    SkfmError if the field nowhere exceeds the level.
    """
    field = np.asarray(field, dtype=np.float32)
    background = min(float(field.min()), 2 * level - float(field.max()))
    affine = grid.affine
    affine[:3, 3] -= grid.spacing
    return isosurface(np.pad(field, 1, constant_values=background), affine, level)


def isosurface(field: np.ndarray, affine: np.ndarray, level: float) -> pv.PolyData:
    """The surface of ``field > level`` by marching cubes, open at the border.

    affine  4×4 from homogeneous array index to RAS mm; normals point to lower values.
    SkfmError if the field does not cross the level.
    """
    if not field.min() <= level < field.max():
        raise SkfmError(
            f"no surface at level {level:g}: values {field.min():g} to {field.max():g}",
            "a field that crosses the level",
            "check that the volume holds a skull",
        )
    vertices, faces, _, _ = marching_cubes(field, level)
    points = vertices @ affine[:3, :3].T + affine[:3, 3]
    if np.linalg.det(affine[:3, :3]) > 0:
        faces = faces[:, ::-1]
    return pv.PolyData.from_regular_faces(points.astype(np.float32), faces)
