"""The voxel grid: scale arithmetic, and meshes to voxels and back."""

import numpy as np
import pytest
import pyvista as pv
from scipy.spatial import cKDTree

from skfm_lib.data.voxels import (
    Grid,
    isosurface,
    mirrored,
    oriented_vertices,
    skull_grid,
    surface,
    voxelise,
)
from skfm_lib.presets.grid_sizes import input_shape, latent_shape, scaled_shape
from skfm_lib.utils.errors import SkfmError

GRID = skull_grid((114, 88, 128))
CENTRE = np.array([5.0, 12.0, -3.0])


def ellipsoid() -> pv.PolyData:
    radii = (60.0, 80.0, 70.0)
    mesh = pv.ParametricEllipsoid(*radii, u_res=200, v_res=200, w_res=200)
    return mesh.clean().triangulate().translate(CENTRE)


def torus() -> pv.PolyData:
    mesh = pv.ParametricTorus(
        ringradius=50, crosssectionradius=20, u_res=200, v_res=200
    )
    return mesh.clean().triangulate().translate(CENTRE)


SHAPES = {
    "ellipsoid": (ellipsoid, 4 / 3 * np.pi * 60 * 80 * 70),
    "torus": (torus, 2 * np.pi**2 * 50 * 20**2),
}


def test_sizes_are_the_papers():
    assert scaled_shape(1) == (456, 352, 512)
    assert scaled_shape(1 / 8) == (57, 44, 64)
    assert input_shape(scaled_shape(1)) == (374, 289, 420)
    assert latent_shape((374, 289, 420)) == (94, 73, 105)
    assert input_shape((50, 50, 50)) == (41, 41, 41)  # 0.82 · 50, not a float above


def test_refined_grid_splits_voxels_in_place():
    fine = GRID.refined(2)
    corner = fine.to_mm(np.array([[0.5, 0.5, 0.5]]))
    assert fine.shape == (228, 176, 256)
    np.testing.assert_allclose(corner, GRID.to_mm(np.zeros((1, 3))), atol=1e-9)


@pytest.mark.parametrize("name", SHAPES)
def test_voxel_volume_is_the_analytic_volume(name):
    make, volume = SHAPES[name]
    voxels = voxelise(make(), GRID)
    assert voxels.sum() * GRID.spacing**3 == pytest.approx(volume, rel=0.005)


@pytest.mark.parametrize("name", SHAPES)
def test_round_trip_stays_within_half_a_voxel_diagonal(name):
    mesh = SHAPES[name][0]()
    back = surface(voxelise(mesh, GRID), GRID, 0.5)
    dense = mesh.subdivide(1)
    there = cKDTree(dense.points).query(back.points)[0].max()
    again = cKDTree(back.subdivide(1).points).query(mesh.points)[0].max()
    assert max(there, again) < GRID.spacing * np.sqrt(3) / 2


def test_every_axis_keeps_its_direction():
    box = pv.Box((20, 40, -60, 10, 50, 90)).triangulate()
    voxels = voxelise(box, GRID)
    points = GRID.to_mm(np.argwhere(voxels))
    half = GRID.spacing / 2
    np.testing.assert_allclose(points.min(axis=0), (20, -60, 50), atol=2 * half)
    np.testing.assert_allclose(points.max(axis=0), (40, 10, 90), atol=2 * half)


def test_normals_point_outward():
    back = surface(voxelise(ellipsoid(), GRID), GRID, 0.5).compute_normals(
        auto_orient_normals=False, consistent_normals=False, split_vertices=False
    )
    outward = ((back.points - CENTRE) * back.point_data["Normals"]).sum(axis=1)
    assert np.median(outward) > 0.9 * 60


def test_surface_closes_at_the_border_and_isosurface_does_not():
    full = np.ones((6, 5, 7), bool)
    full[0] = False
    grid = Grid(full.shape, 2.0, (0.0, 0.0, 0.0))
    assert surface(full, grid, 0.5).n_open_edges == 0
    assert isosurface(full.astype(np.float32), grid.affine, 0.5).n_open_edges > 0


def test_real_valued_field_places_the_surface_between_voxels():
    grid = Grid((8, 8, 8), 1.0, (0.0, 0.0, 0.0))
    field = np.broadcast_to(4.3 - np.arange(8.0), (8, 8, 8)).copy()
    assert surface(field, grid, 0.0).bounds[5] == pytest.approx(4.3, abs=1e-3)


def test_a_mesh_cut_open_is_filled_where_it_is_bone():
    shell = ellipsoid().merge(ellipsoid().scale(0.9, inplace=False, point=CENTRE))
    normal = np.array([0.2, 0.1, 1.0])
    cut = shell.clip(normal, origin=CENTRE - (0, 0, 30), invert=False)
    cut = cut.extract_surface(algorithm=None).triangulate()
    assert cut.n_open_edges > 0
    points = GRID.to_mm(np.argwhere(np.ones(GRID.shape, bool)))
    kept = ((points - CENTRE + (0, 0, 30)) @ normal > 0).reshape(GRID.shape)
    expected = (voxelise(shell, GRID) & kept).sum()
    assert voxelise(cut, GRID).sum() == pytest.approx(expected, rel=0.01)


def test_nothing_to_show_is_said():
    with pytest.raises(SkfmError, match="no surface at level 0.5"):
        surface(np.zeros((4, 4, 4), bool), GRID, 0.5)


def test_vertices_without_a_normal_are_left_out():
    """A voxel exactly at the level, within bone, is a surface without area."""
    field = np.ones((8, 8, 8), np.float32)
    field[4, 4, 4] = 0.5
    mesh = surface(field, skull_grid(field.shape), 0.5)
    whole = surface(np.ones_like(field), skull_grid(field.shape), 0.5)
    assert mesh.n_points > whole.n_points
    points, normals = oriented_vertices(mesh, mesh.n_points)
    assert len(points) == whole.n_points
    np.testing.assert_allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    assert ((points - points.mean(axis=0)) * normals).sum(axis=1).min() > 0
    assert len(oriented_vertices(mesh, 10)[0]) == 10


def test_mirroring_changes_the_sign_of_x_and_nothing_else():
    shape = scaled_shape(1 / 16)
    grid = skull_grid(shape)
    volume = np.random.default_rng(0).random(shape) < 0.1
    points = grid.to_mm(np.argwhere(volume))
    other = grid.to_mm(np.argwhere(mirrored(volume, grid)))
    flipped = points * [-1, 1, 1]  # the grid's middle is x = 0
    as_set = lambda xyz: {tuple(p) for p in np.round(xyz, 3) + 0.0}  # noqa: E731
    assert as_set(other) == as_set(flipped) != as_set(points)
    assert (mirrored(mirrored(volume, grid), grid) == volume).all()
