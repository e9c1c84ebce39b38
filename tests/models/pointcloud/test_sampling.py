"""Farthest-point sampling against its definition."""

import pytest
import torch

from skfm_lib.models.pointcloud import farthest_points, random_poses, take
from skfm_lib.models.pointcloud.sampling import _all_at_once
from skfm_lib.utils.errors import SkfmError


def clouds(b=2, n=200, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(b, n, 3, generator=rng) * 60


def brute_force(cloud, count):
    """The definition, with the complete table of distances in float64."""
    table = torch.cdist(cloud.double(), cloud.double())
    chosen = [(cloud - cloud.mean(0)).norm(dim=1).argmax().item()]
    while len(chosen) < count:
        chosen.append(table[chosen].min(0).values.argmax().item())
    return chosen


@pytest.mark.parametrize("count", [1, 7, 200])
def test_equals_the_definition(count):
    points = clouds()
    expected = [brute_force(cloud, count) for cloud in points]
    assert farthest_points(points, count).tolist() == expected
    at_once, gap = _all_at_once(points, count)
    assert at_once.tolist() == expected
    pairs = [(c[e[-1:]].double(), c[e[:-1]].double()) for c, e in zip(points, expected)]
    if count > 1:
        smallest = min(torch.cdist(*pair).min().item() for pair in pairs)
        assert gap.min().item() == pytest.approx(smallest**2, rel=1e-4)


def test_order_and_pose_do_not_matter():
    points = clouds(b=1)
    chosen = take(points, farthest_points(points, 50))
    shuffled = points[:, torch.randperm(200)]
    assert torch.equal(take(shuffled, farthest_points(shuffled, 50)), chosen)
    rotation, translation = random_poses(1, 180.0, 100.0, seed=1)
    moved = points @ rotation.mT + translation[:, None]
    assert torch.equal(farthest_points(moved, 50), farthest_points(points, 50))


@pytest.mark.parametrize(
    "points, count, message",
    [
        (clouds(n=9), 10, "has 9 points a cloud.*at least 10"),
        (clouds(n=0), 1, "has 0 points"),
        (clouds()[0], 3, r"shape \(200, 3\)"),
        (clouds()[..., :2], 3, r"shape \(2, 200, 2\)"),
        (clouds().long(), 3, "torch.int64"),
        (torch.ones(1, 20, 3), 2, "fewer than 2 different points"),
        (clouds(n=4).repeat(1, 5, 1), 5, "fewer than 5 different points"),
    ],
)
def test_bad_clouds_are_named(points, count, message):
    with pytest.raises(SkfmError, match=message):
        farthest_points(points, count)


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_point_that_is_not_finite_is_named(value):
    points = clouds()
    points[1, 17, 2] = value
    with pytest.raises(SkfmError, match="point 17 of cloud 1"):
        farthest_points(points, 3)


def test_duplicates_are_allowed_while_points_suffice():
    points = clouds(n=4).repeat(1, 5, 1)
    chosen = take(points, farthest_points(points, 4))
    assert all(len(cloud.unique(dim=0)) == 4 for cloud in chosen)
