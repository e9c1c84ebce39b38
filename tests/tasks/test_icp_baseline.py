"""Iterative closest points: small poses undone, and never worse than the start."""

import numpy as np
import pytest

from skfm_lib.data.point_clouds import load_clouds
from skfm_lib.data.registration.rigid_icp import apply, rigid_icp
from skfm_lib.models.pointcloud import random_poses
from skfm_lib.tasks.icp_baseline import icp, reference_skull


@pytest.fixture(scope="module")
def clouds(phantoms, tmp_path_factory):
    return load_clouds(phantoms, tmp_path_factory.mktemp("clouds"))


def small_pose(seed, degrees=8.0, millimetres=8.0):
    """A 4×4 matrix."""
    rotation, translation = random_poses(1, degrees, millimetres, seed)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation[0], translation[0]
    return matrix


@pytest.mark.parametrize("seed", range(5))
def test_icp_undoes_small_poses_of_the_reference_itself(seed):
    target, normals = reference_skull()
    points, pose = target[:512], small_pose(seed)
    moved = apply(pose, points)
    matrix, gap = icp(moved, (target, normals))
    assert np.abs(apply(matrix, moved) - points).max() < 0.01 and gap < 0.01


@pytest.mark.parametrize("radial", [False, True], ids=["normals", "wrong normals"])
def test_icp_never_ends_worse_than_it_began(radial, clouds):
    target, normals = reference_skull()
    if radial:  # planes through which steps may diverge
        normals = target / np.linalg.norm(target, axis=1, keepdims=True)
    for seed, cloud in enumerate(clouds.first(256).double().numpy()):
        moved = apply(small_pose(seed, 45.0, 50.0), cloud)
        matrix, gap = icp(moved, (target, normals))
        assert gap <= rigid_icp(moved, target, iterations=0)[1]
        assert gap == pytest.approx(
            rigid_icp(apply(matrix, moved), target, iterations=0)[1], rel=1e-6
        )


def test_the_reference_is_a_whole_skull_with_outward_normals():
    points, normals = reference_skull()
    assert points.shape == normals.shape and np.ptp(points[:, 2]) > 180
    assert np.allclose(np.linalg.norm(normals, axis=1), 1, atol=1e-3)
    outer = points[:, 2] > np.quantile(points[:, 2], 0.99)  # of the vertex, outside
    assert (normals[outer][:, 2] > 0).mean() > 0.9
