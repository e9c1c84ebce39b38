"""Skulls of every score come back from any pose, and doubt is said where it is due."""

import numpy as np
import pytest
import pyvista as pv
from own_frame import Z, own_skull
from scipy.spatial.transform import Rotation

from skfm_lib.data.registration.canonical_pose import UNCERTAIN_ABOVE, register
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.registration.shape_model import (
    MODES,
    Fit,
    Reference,
    Scan,
    fit,
    pose_error,
    pose_shift,
    reference,
)
from skfm_lib.utils.errors import SkfmError


def any_pose(seed: int) -> np.ndarray:
    rng, matrix = np.random.default_rng(seed), np.eye(4)
    angles = rng.uniform(-30, 30, 3)
    matrix[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    matrix[:3, 3] = rng.uniform(-40, 40, 3)
    return matrix


@pytest.mark.parametrize("quality", [2, 3, 4, 5, 6])
def test_a_phantom_of_any_score_comes_back(quality):
    truth = own_skull(8000 + quality, quality)
    moved = truth.transform(any_pose(quality), inplace=False)
    found = register(moved)
    off = np.linalg.norm(found.mesh.points - truth.points, axis=1).mean()
    assert off < 3
    assert found.uncertainty < UNCERTAIN_ABOVE
    again = apply(found.matrix, moved.points)
    np.testing.assert_allclose(found.mesh.points, again, atol=1e-2)
    turn = found.matrix[:3, :3]
    np.testing.assert_allclose(turn @ turn.T, np.eye(3), atol=1e-9)
    assert np.linalg.det(turn) > 0


def test_a_mere_cap_is_refused():
    with pytest.raises(SkfmError, match="no left orbit, no right orbit, no nose"):
        register(own_skull(9500, 2, Z > 60))


def test_a_flat_surface_is_refused():
    with pytest.raises(SkfmError, match="the surface is flat"):
        register(pv.Plane(i_size=150, j_size=150).triangulate())


@pytest.fixture(scope="module")
def small() -> Reference:
    return reference().subset(2000, MODES)


def test_pose_and_shape_are_found_together(small):
    """Of another's upper skull; a rigid fit of the mean one is farther off."""
    b, truth = np.zeros(MODES), np.eye(4)
    b[:2] = 2, -2
    truth[:3, :3] = Rotation.from_rotvec([0.05, -0.04, 0.06]).as_matrix()
    truth[:3, 3] = 3, -2, 4
    seen = small.deformed(b)[small.points[:, 2] > 10]
    scan = Scan(apply(np.linalg.inv(truth), seen))
    reaches, off = [15] * 5 + [5] * 25, []
    for modes in (MODES, 0):
        start = Fit(np.eye(4), np.zeros(modes))
        found = fit(scan, small.subset(2000, modes), start, reaches)
        off.append(pose_shift(scan, found, Fit(truth, b)))
    assert off[0] < 1.5 and off[1] > 5


def test_bone_that_a_scan_would_show_counts(small):
    """The cap laid over the face fits as a surface; that no face is in it tells."""
    cap = small.points[small.points[:, 2] > 40]
    scan = Scan(np.random.default_rng(0).permutation(cap))
    right = fit(scan, small.subset(2000, 0), Fit(np.eye(4), np.zeros(0)), [])
    low = np.eye(4)
    low[2, 3] = -70
    wrong = fit(scan, small.subset(2000, 0), Fit(low, np.zeros(0)), [])
    assert wrong.energy > right.energy + 50
    assert not scan.covers(np.array([[0.0, 60.0, -30.0]]))[0]
    assert scan.covers(np.array([[0.0, 0.0, 70.0]]))[0]


def test_the_spread_tells_how_far_points_may_be_off(small):
    """Against the spread of points moved by poses that are drawn from it."""
    scan, spread = Scan(small.points), np.diag([1e-4, 4e-4, 1e-4, 0.5, 1.0, 2.0])
    found = Fit(np.eye(4), np.zeros(0), covariance=spread)
    draws = np.random.default_rng(0).multivariate_normal(np.zeros(6), spread, 400)
    moves = [np.cross(d[:3], scan.points) + d[3:] for d in draws]
    measured = np.sqrt(np.mean(np.sum(np.square(moves), axis=2)))
    assert pose_error(scan, found) == pytest.approx(measured, rel=0.1)


def test_the_modes_are_how_phantoms_differ():
    """Deviations along the modes are independent, of unit size, and hold most of it."""
    whole = reference()
    flat = whole.modes.reshape(MODES, -1)
    lengths = np.linalg.norm(flat, axis=1)
    cosines = (flat / lengths[:, None]) @ (flat / lengths[:, None]).T
    np.testing.assert_allclose(cosines, np.eye(MODES), atol=1e-6)
    assert (np.diff(lengths) < 0).all()
    assert 15 < np.ptp(whole.deformed(np.eye(MODES)[0] * 6) - whole.points) < 80
    np.testing.assert_allclose(np.linalg.norm(whole.normals, axis=1), 1, atol=1e-3)
