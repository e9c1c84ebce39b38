"""Meshes with y upwards are turned, and those with z upwards are not."""

import numpy as np
import pytest
import pyvista as pv
from own_frame import own_skull

from skfm_lib.data.io.meshes import AXES
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.registration.up_axis import register_any_axes, y_was_up
from skfm_lib.utils.errors import SkfmError

BLENDER = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])  # of RAS: y up, face to −z


def skull(quality: int) -> pv.PolyData:
    """A phantom in its own skull frame, with unknown axes."""
    mesh = own_skull(8100, quality)
    mesh.field_data[AXES] = ["unknown"]
    return mesh


def test_y_up_is_turned():
    truth = skull(4)
    mesh = truth.copy()
    mesh.points = truth.points @ BLENDER.T
    found = register_any_axes(mesh)
    assert y_was_up(found)
    assert np.linalg.norm(found.mesh.points - truth.points, axis=1).mean() < 3
    moved = apply(found.matrix, mesh.points)
    np.testing.assert_allclose(moved, found.mesh.points, atol=0.01)


def test_z_up_is_kept_for_a_cap():
    truth = skull(2)
    found = register_any_axes(truth)
    assert not y_was_up(found)
    assert np.linalg.norm(found.mesh.points - truth.points, axis=1).mean() < 3


def test_no_skull_either_way():
    mesh = pv.Plane(i_size=150, j_size=150).triangulate()
    with pytest.raises(SkfmError) as known:
        register_any_axes(mesh)
    mesh.field_data[AXES] = ["unknown"]
    with pytest.raises(SkfmError) as unknown:
        register_any_axes(mesh)
    assert str(known.value) == str(unknown.value)
