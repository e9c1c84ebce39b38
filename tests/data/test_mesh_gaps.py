"""Triangles that do not join become a closed surface in the same place."""

import numpy as np
import pyvista as pv

from skfm_lib.data.mesh_gaps import closed
from skfm_lib.data.voxels import Grid, voxelise

GRID = Grid((60, 60, 60), 2.0, (-59.0, -59.0, -59.0))
OUTER = pv.Icosphere(radius=55, nsub=5)
WALL = OUTER.merge(pv.Icosphere(radius=47, nsub=5)).triangulate()


def test_surfaces_that_join_are_kept():
    cut = WALL.clip("z", origin=(0, 0, -30), invert=False).triangulate()
    for mesh in (WALL, cut):
        assert closed(mesh) == (mesh, "")


def test_points_that_differ_by_rounding_are_merged():
    corners = WALL.points[WALL.regular_faces].reshape(-1, 3)
    corners = corners + np.random.default_rng(0).uniform(-1e-3, 1e-3, corners.shape)
    soup = pv.PolyData.from_regular_faces(
        corners.astype(np.float32), np.arange(len(corners)).reshape(-1, 3)
    )
    merged, note = closed(soup)
    assert note == "" and merged.n_open_edges == 0 and merged.n_cells == WALL.n_cells


def test_a_third_of_the_triangles_is_enough():
    some = WALL.regular_faces[::3]
    part = pv.PolyData.from_regular_faces(WALL.points, some).clean()
    part.field_data["axes"] = ["unknown"]
    whole, note = closed(part)
    assert note == "its triangles do not join: gaps were closed"
    assert whole.field_data["axes"][0] == "unknown"
    got, truth = voxelise(whole, GRID), voxelise(WALL, GRID)
    assert 2 * (got & truth).sum() / (got.sum() + truth.sum()) > 0.85
