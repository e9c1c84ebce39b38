"""Deviations of surfaces whose distance and angle are known."""

import numpy as np
import pytest
import pyvista as pv

from skfm_lib.data.voxels import Grid, surface
from skfm_lib.evaluation.surfaces import surface_deviation


def test_concentric_spheres_are_their_gap_apart_with_equal_normals():
    inner, outer = (
        pv.Sphere(radius=r, theta_resolution=90, phi_resolution=90) for r in (50, 53)
    )
    found = surface_deviation(inner, outer)
    assert found.mean == pytest.approx(3, abs=0.05)
    assert found.most == pytest.approx(3, abs=0.1)
    assert found.angle < 3  # of facets of 4 degrees


def test_a_surface_does_not_deviate_from_itself():
    sphere = pv.Sphere(radius=50)
    assert surface_deviation(sphere, sphere) == pytest.approx((0, 0, 0), abs=1e-2)


def test_a_part_that_only_one_has_counts_from_both_sides():
    sphere, far = pv.Sphere(radius=10), pv.Sphere(radius=10, center=(100, 0, 0))
    both = (sphere + far).extract_surface(algorithm=None).triangulate()
    there, back = surface_deviation(sphere, both), surface_deviation(both, sphere)
    assert there.mean == pytest.approx(back.mean, rel=0.1)
    assert there.mean == pytest.approx(100 / 4, rel=0.1)  # half of one of two sets


def test_steps_of_voxels_turn_the_normals_of_an_inclined_plane():
    i, j, _ = np.indices((24, 24, 24), dtype=np.float32)
    inside = (12 - (i - 11.5) * np.sin(0.4) - (j - 11.5) * np.cos(0.4)) - 12
    grid = Grid((24, 24, 24), 1.0, (0.0, 0.0, 0.0))
    plane = surface(np.clip(inside, -1, 1), grid, 0.0)
    steps = surface(np.where(inside > 0, 1, -1).astype(np.float32), grid, 0.0)
    found = surface_deviation(plane, steps)
    assert found.mean < 0.3 and found.angle > 5
