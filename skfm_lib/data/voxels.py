"""Voxel grids and surfaces in millimetres, and the conversions between them.

A volume is indexed ``[i, j, k]`` = (D, H, W) = (posterior→anterior, left→right,
inferior→superior); a point is ``(x, y, z)`` in RAS+ millimetres (right, anterior,
superior).  So ``i`` runs along y, ``j`` along x and ``k`` along z.

The skull frame is the craniometric one: its origin lies midway between the two ear
openings (porion), and the Frankfurt plane (ear openings and lower orbital rims) is
horizontal.  The paper's 456×352×512 grid at 0.51 mm (§3.3) is centred on
``FRAME_CENTRE`` in that frame.
"""

from dataclasses import dataclass

import numpy as np
import pyvista as pv
import trimesh
from skimage.measure import marching_cubes

from skfm_lib.presets.grid_sizes import PAPER_SHAPE, PAPER_SPACING, Shape
from skfm_lib.utils.errors import SkfmError

SLAB = 40_000  # triangles per slab: VTK tests every triangle in every slice
FULL_BYTE = 255  # a voxel full of bone, where a grid holds fractions (`bone_fractions`)
FRAME_CENTRE = (0.0, 9.0, 6.0)  # mm; leaves ≥ 15 mm around a complete adult skull


@dataclass(frozen=True)
class Grid:
    """A regular isotropic voxel grid in RAS+ millimetres.

    Attributes:
        shape: Voxels along (D, H, W) = (y, x, z).
        spacing: Edge length of a voxel, mm.
        origin: (x, y, z) of the *centre* of voxel [0, 0, 0], mm.
    """

    shape: Shape
    spacing: float
    origin: tuple[float, float, float]

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel-centre coordinates (x of H, y of D, z of W), mm, float32, 1-D each."""
        depth, height, width = self.shape
        x, y, z = (
            (start + self.spacing * np.arange(count)).astype(np.float32)
            for start, count in zip(self.origin, (height, depth, width))
        )
        return x, y, z

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
        """The grid in which every voxel is split into ``factor³``."""
        depth, height, width = (n * factor for n in self.shape)
        x, y, z = (o - self.spacing * (1 - 1 / factor) / 2 for o in self.origin)
        return Grid((depth, height, width), self.spacing / factor, (x, y, z))


def skull_grid(shape: Shape = PAPER_SHAPE) -> Grid:
    """The paper's field of view sampled with `shape` voxels, in the skull frame.

    The spacing is the paper's 0.51 mm times the largest ratio of an axis, so that no
    axis covers less than the paper's field of view; the centre is the same.  Spacing
    and origin are multiples of 1e-5 mm, which survive a NIfTI header.

    >>> skull_grid((57, 44, 64)).spacing
    4.08
    """
    ratio = max(full / n for full, n in zip(PAPER_SHAPE, shape, strict=True))
    spacing = round(PAPER_SPACING * ratio, 5)
    depth, height, width = shape
    extent = spacing * (np.array([height, depth, width]) - 1)
    x, y, z = np.round(np.array(FRAME_CENTRE) - extent / 2, 5).tolist()
    return Grid((depth, height, width), spacing, (x, y, z))


def mirrored(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """The volume (D, H, W) mirrored along x, about the middle of its grid."""
    axis = int(np.abs(grid.affine[0, :3]).argmax())
    return np.ascontiguousarray(np.flip(volume, axis))


def voxelise(mesh: pv.PolyData, grid: Grid) -> np.ndarray:
    """Bone (D, H, W) bool: the voxels whose centre lies inside a mesh (RAS mm).

    Uses VTK's image stencil, slice by slice along z (seconds at 512³).  Nested
    surfaces count as holes, the orientation of the triangles does not matter, and an
    open contour (a skull cut by the field of view) is closed between its ends.  Parts
    outside the grid are dropped.
    """
    depth, height, width = grid.shape
    bone = np.zeros(grid.shape, bool)
    faces, z = mesh.regular_faces, mesh.points[:, 2]
    lowest, highest = z[faces].min(axis=1), z[faces].max(axis=1)
    # Slabs of slices: each is given only the triangles that reach it.
    slabs = min(width, 1 + len(faces) // SLAB)
    for slices in np.array_split(np.arange(width), slabs):
        low, high = grid.origin[2] + grid.spacing * slices[[0, -1]]
        near = (lowest <= high + grid.spacing) & (highest >= low - grid.spacing)
        if near.any():
            part = pv.PolyData.from_regular_faces(mesh.points, faces[near])
            slab = pv.ImageData(
                dimensions=(height, depth, len(slices)),
                spacing=(grid.spacing,) * 3,
                origin=(*grid.origin[:2], low),
            )
            mask = part.voxelize_binary_mask(reference_volume=slab)["mask"]
            zyx = np.asarray(mask).reshape(len(slices), depth, height)
            bone[:, :, slices] = zyx.transpose(1, 2, 0)
    return bone


def surface(field: np.ndarray, grid: Grid, level: float) -> pv.PolyData:
    """The closed surface of ``field > level`` in RAS mm, normals pointing outward.

    The field is padded with background, so that the surface is closed at the border.

    Args:
        field: (D, H, W), an occupancy (level 0.5) or real values (level 0 for the
            output of a decoder).

    Raises:
        SkfmError: if the field nowhere exceeds the level.

    >>> surface(np.ones((8, 8, 8), bool), skull_grid((8, 8, 8)), 0.5).n_open_edges
    0
    """
    field = np.asarray(field, dtype=np.float32)
    background = min(float(field.min()), 2 * level - float(field.max()))
    affine = grid.affine
    affine[:3, 3] -= grid.spacing
    return isosurface(np.pad(field, 1, constant_values=background), affine, level)


def isosurface(field: np.ndarray, affine: np.ndarray, level: float) -> pv.PolyData:
    """The surface of ``field > level`` by marching cubes, open at the border.

    `affine` is 4×4, from homogeneous array index to RAS mm.  The normals point to
    lower values.  SkfmError if the field does not cross the level.
    """
    low, high = field.min(), field.max()
    if not low <= level < high:
        found = f"no surface at level {level:g}: values {low:g} to {high:g}"
        expected = "a field that crosses the level"
        raise SkfmError(found, expected, "check that the volume holds a skull")
    vertices, faces, _, _ = marching_cubes(field, level)
    points = vertices @ affine[:3, :3].T + affine[:3, 3]
    if np.linalg.det(affine[:3, :3]) > 0:
        faces = faces[:, ::-1]
    return pv.PolyData.from_regular_faces(points.astype(np.float32), faces)


def sample_surface(mesh: pv.PolyData, count: int, seed: int) -> np.ndarray:
    """Points (count, 3) distributed uniformly over a surface, in its unit, float64.

    SkfmError for a mesh without area.
    """
    if mesh.n_points == 0 or not mesh.area > 0:
        found = f"a surface of {mesh.n_points} points without area"
        raise SkfmError(found, "the mesh of a skull", "look at the scan or mesh")
    faces = mesh.triangulate().regular_faces
    shape = trimesh.Trimesh(np.asarray(mesh.points, float), faces, process=False)
    return np.asarray(trimesh.sample.sample_surface(shape, count, seed=seed)[0])


def oriented_vertices(mesh: pv.PolyData, count: int) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` vertices (m, 3) of a surface in random order, and unit normals.

    Normals are float64.  Where a voxel is exactly at the level, as bytes can be,
    marching cubes leaves vertices whose triangles all have no area, and so no normal:
    they are left out.
    """
    mesh = mesh.compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    normals = np.asarray(mesh.point_data["Normals"], float)
    order = np.random.default_rng(0).permutation(mesh.n_points)
    some = order[normals[order].any(axis=1)][:count]
    # Plain arrays: those of meshes are slow.
    return np.asarray(mesh.points)[some], normals[some]
