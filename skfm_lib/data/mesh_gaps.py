"""Surfaces of triangles that do not join, made into closed ones."""

import numpy as np
import pyvista as pv
from scipy import ndimage

from skfm_lib.data.voxels import isosurface, sample_surface

# Share of the triangles' sides without a neighbour; a cropped skull has 0.02.
OPEN = 0.1
ROUNDING = 0.02  # mm between points that are one but for the digits of a text file
STEP = 1.0  # mm
GAP = 5.0  # mm, half the widest gap that is bridged: bone is up to 10 mm thick
PER_STEP = 4  # sampled points per mm²
MOST = 4_000_000  # sampled points


def closed(mesh: pv.PolyData) -> tuple[pv.PolyData, str]:
    """A mesh (mm) whose triangles join, and a note where they had to be joined, or "".

    Voxelising relies on contours: it closes those of a skull that the field of view
    cuts, but is slow and wrong where most triangles are apart (a part of them is
    missing, or none share points).  Those are sampled on a grid of STEP, dilated by
    GAP and eroded by as much, and the surface of that is taken, which lies some 1 mm
    from the triangles.
    """
    if _open_share(mesh) <= OPEN:
        return mesh, ""
    merged = mesh.clean(
        tolerance=ROUNDING, absolute=True, lines_to_points=False, polys_to_lines=False
    )
    if _open_share(merged) <= OPEN:
        return merged, ""
    count = int(min(MOST, PER_STEP * mesh.area / STEP**2))
    points = sample_surface(mesh, count, seed=0)
    origin = points.min(axis=0) - (GAP + 2 * STEP)
    shape = np.ceil((points.max(axis=0) - origin + GAP + 2 * STEP) / STEP).astype(int)
    empty = np.ones(shape, bool)
    empty[tuple(np.round((points - origin) / STEP).astype(int).T)] = False
    far = ndimage.distance_transform_edt(empty) > GAP / STEP
    depth = ndimage.distance_transform_edt(~far) - GAP / STEP  # ≥ 0 after erosion
    affine = np.diag([STEP, STEP, STEP, 1.0])
    affine[:3, 3] = origin
    whole = isosurface(depth, affine, 0.0)
    for name in mesh.field_data:
        whole.field_data[name] = mesh.field_data[name]
    return whole, "its triangles do not join: gaps were closed"


def _open_share(mesh: pv.PolyData) -> float:
    return mesh.n_open_edges / (3 * mesh.n_cells)
