"""Rigid registration recovers known poses."""

import numpy as np
import pytest
import pyvista as pv
from scipy.spatial.transform import Rotation

from skfm_lib.data.registration.rigid_icp import apply, plane_fit, rigid_icp


def pose(degrees: tuple[float, float, float], shift: tuple) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    matrix[:3, 3] = shift
    return matrix


@pytest.fixture(scope="module")
def shape() -> pv.PolyData:
    """An ellipsoid with a nose: no symmetry that turns it into itself."""
    mesh = pv.Icosphere(radius=1.0, nsub=4).scale((60, 80, 70), inplace=False)
    nose = np.exp(-(((mesh.points - (20, 75, 10)) / 25) ** 2).sum(axis=1))
    mesh.points += 30 * nose[:, None] * np.array([0.3, 1.0, 0.2])
    return mesh.compute_normals(cell_normals=False)


def test_planes_give_a_small_pose(shape):
    truth = pose((0.01, -0.02, 0.015), (0.3, -0.2, 0.1))
    points, normals = shape.points.astype(float), shape.point_data["Normals"]
    moved = apply(truth, points)
    found = plane_fit(points, moved, normals @ truth[:3, :3].T)
    np.testing.assert_allclose(found, truth, atol=1e-3)


def test_icp_on_points_recovers_a_known_pose():
    target = np.random.default_rng(0).uniform(-50, 50, (400, 3))
    truth = pose((4, -3, 5), (3, -2, 2))
    source = apply(np.linalg.inv(truth), target[::3])
    matrix, distance = rigid_icp(source, target)
    np.testing.assert_allclose(matrix, truth, atol=1e-6)
    assert distance < 1e-6


def test_icp_on_planes_recovers_a_known_pose(shape):
    target = shape.points.astype(float)
    truth = pose((8, -6, 10), (6, -5, 4))
    source = apply(np.linalg.inv(truth), target[::3])
    normals = shape.point_data["Normals"].astype(float)
    matrix, distance = rigid_icp(source, target, normals=normals)
    moved = np.linalg.norm(apply(matrix, source) - target[::3], axis=1)
    assert moved.mean() < 0.5
    assert distance < 0.5


def test_icp_ignores_what_the_target_lacks(shape):
    target = shape.points.astype(float)
    truth = pose((4, -3, 5), (3, -2, 2))
    extra = np.random.default_rng(0).normal((0, 0, 130), 8, (len(target) // 6, 3))
    source = apply(np.linalg.inv(truth), np.vstack([target, extra]))
    normals = shape.point_data["Normals"].astype(float)
    matrix, _ = rigid_icp(source, target, keep=0.8, normals=normals, iterations=60)
    moved = np.linalg.norm(apply(matrix, source)[: len(target)] - target, axis=1)
    assert moved.mean() < 0.5
    pulled, _ = rigid_icp(source, target, keep=1.0, normals=normals, iterations=60)
    moved = np.linalg.norm(apply(pulled, source)[: len(target)] - target, axis=1)
    assert moved.mean() > 1.0
