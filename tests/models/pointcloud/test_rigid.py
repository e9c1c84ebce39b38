"""Rigid motions: sampling, application, nearest rotations."""

import pytest
import torch
from scipy.spatial.transform import Rotation

from skfm_lib.models.pointcloud import apply_pose, random_poses, to_rotation


def is_rotation(matrix):
    eye = torch.eye(3, dtype=matrix.dtype)
    return torch.allclose(matrix @ matrix.mT, eye, atol=1e-5) and torch.allclose(
        torch.linalg.det(matrix), torch.ones((), dtype=matrix.dtype), atol=1e-5
    )


@pytest.mark.parametrize("degrees", [15.0, 45.0, 180.0])
def test_poses_are_rotations_within_their_bounds(degrees):
    rotation, translation = random_poses(500, degrees, 50.0, seed=0)
    assert rotation.dtype == translation.dtype == torch.float32
    assert is_rotation(rotation) and translation.abs().max() <= 50
    assert translation.abs().max() > 49
    if degrees < 180:
        angles = Rotation.from_matrix(rotation.numpy()).as_euler("xyz", degrees=True)
        assert 0.98 * degrees < abs(angles).max() <= degrees + 1e-3


def test_any_rotation_means_uniform():
    # Of a uniform rotation every element has mean 0 and variance 1/3.
    rotation, _ = random_poses(4000, 180.0, 0.0, seed=0)
    assert rotation.mean(0).abs().max() < 0.04
    assert torch.allclose(rotation.var(0), torch.full((3, 3), 1 / 3), atol=0.03)


def test_poses_follow_from_the_seed():
    a, b, c = (random_poses(3, 45.0, 50.0, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_pose_is_applied_exactly_under_autocast():
    points = torch.randn(2, 50, 3) * 100
    rotation, translation = random_poses(2, 180.0, 50.0, seed=0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        moved = apply_pose(points, rotation, translation)
    expected = points.double() @ rotation.double().mT + translation[:, None].double()
    assert torch.allclose(moved.double(), expected, atol=1e-4)


def test_projection_gives_the_nearest_rotation():
    torch.manual_seed(0)
    matrix = torch.randn(200, 3, 3, dtype=torch.float64)  # half of them reflect
    rotation = to_rotation(matrix)
    assert is_rotation(rotation) and (torch.linalg.det(matrix) < 0).any()
    gap = (matrix - rotation).square().sum((1, 2))
    others = torch.from_numpy(Rotation.random(500, 1).as_matrix())
    assert (gap[:, None] <= (matrix[:, None] - others).square().sum((2, 3))).all()
    assert torch.allclose(to_rotation(rotation), rotation)
    assert torch.allclose(to_rotation(7 * rotation), rotation)


def test_projection_has_the_right_gradient_even_at_the_identity():
    torch.manual_seed(0)
    for matrix in (
        torch.randn(6, 3, 3, dtype=torch.float64),
        torch.eye(3, dtype=torch.float64)[None],
    ):
        assert torch.autograd.gradcheck(to_rotation, matrix.requires_grad_())


def test_projection_works_under_autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rotation = to_rotation(torch.randn(5, 3, 3))
    assert is_rotation(rotation)
