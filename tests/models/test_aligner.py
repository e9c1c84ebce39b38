"""The aligner: what it returns, on which inputs, and what leaves it unmoved."""

import pytest
import torch

from skfm_lib.models import Aligner
from skfm_lib.models.aligner import head, in_order
from skfm_lib.models.pointcloud import apply_pose, random_poses
from skfm_lib.models.pointnet2 import neighbourhoods
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

SETTINGS = preset("tiny").aligner


def clouds(b=3, n=300, seed=0):
    """Ellipsoids of a skull's size, in mm, somewhere."""
    rng = torch.Generator().manual_seed(seed)
    points = torch.randn(b, n, 3, generator=rng)
    points = points / points.norm(dim=-1, keepdim=True) * torch.tensor([70, 90, 80])
    return points + 40 * torch.randn(b, 1, 3, generator=rng)


def aligner(**changes):
    """An aligner with heads that are not at their initial values."""
    torch.manual_seed(0)
    model = Aligner(SETTINGS.but(**changes))
    for part in (model.turn, model.finer_turn, model.shift):
        torch.nn.init.normal_(part[-1].weight, std=0.1)
    model(clouds())  # running statistics
    return model.eval()


@pytest.mark.parametrize("name", ["tiny", "quick"])
def test_before_training_a_centred_cloud_is_returned_as_it_is(name):
    settings = preset(name).aligner
    points = clouds(b=2, n=settings.points)
    points = points - points.mean(1, keepdim=True)
    with torch.no_grad():
        aligned, rotation, translation = Aligner(settings)(points)
    assert torch.allclose(aligned, points, atol=1e-4)
    assert torch.equal(rotation, torch.eye(3).expand(2, 3, 3))
    assert translation.abs().max() < 1e-4


@pytest.mark.parametrize("rotation", ["raw", "svd"])
@pytest.mark.parametrize("shared", [False, True])
@torch.no_grad()
def test_aligned_is_the_motion_of_the_input(rotation, shared):
    points = clouds()
    aligned, r, t = aligner(rotation=rotation, shared=shared)(points)
    assert torch.allclose(aligned, points @ r.mT + t[:, None], atol=1e-3)
    turns = torch.allclose(r @ r.mT, torch.eye(3).expand(3, 3, 3), atol=1e-4)
    assert turns == (rotation == "svd")
    if turns:  # distances in mm are kept
        assert torch.allclose(torch.linalg.det(r), torch.ones(3), atol=1e-4)
        kept = torch.cdist(aligned, aligned) - torch.cdist(points, points)
        assert kept.abs().max() < 0.2


@pytest.mark.parametrize("rotation", ["raw", "svd"])
@torch.no_grad()
def test_stage_two_is_given_the_neighbourhoods_of_the_cloud_it_sees(rotation):
    model, given = aligner(rotation=rotation), []
    model.turn[-1].bias += 0.5 * torch.randn(9)  # raw matrices shear
    model.fine.register_forward_pre_hook(lambda _, args: given.append(args))
    model(clouds())
    ((cloud, hoods),) = given
    for found, own in zip(hoods, neighbourhoods(cloud, SETTINGS)):
        assert torch.equal(found.centres, own.centres)
        for a, b in zip(found.balls, own.balls):  # rounding at a ball's rim
            assert (a == b).float().mean() > 0.999


def test_a_shared_encoder_is_one():
    both, one = (
        sum(w.numel() for w in Aligner(SETTINGS.but(shared=s)).parameters())
        for s in (False, True)
    )
    encoder = sum(w.numel() for w in Aligner(SETTINGS).fine.parameters())
    assert both - one == encoder


@torch.no_grad()
def test_the_order_of_points_does_not_matter():
    model, points = aligner(), clouds()
    order = torch.randperm(points.shape[1])
    aligned, rotation, translation = model(points)
    shuffled = model(points[:, order])
    assert torch.allclose(shuffled[0], aligned[:, order], atol=1e-3)
    assert torch.allclose(shuffled[1], rotation, atol=1e-5)


@torch.no_grad()
def test_where_the_scene_lies_does_not_matter():
    model, points = aligner(), clouds()
    shift = torch.tensor([300.0, -200.0, 80.0])
    aligned, rotation, translation = model(points)
    far = model(points + shift)
    assert torch.allclose(far[0], aligned, atol=0.01)
    assert torch.allclose(far[1], rotation, atol=1e-4)
    assert torch.allclose(far[2], translation - shift @ rotation.mT, atol=0.05)


@torch.no_grad()
def test_millimetres_matter():
    model, points = aligner(), clouds()
    assert not torch.allclose(model(points)[1], model(points / 2)[1], atol=1e-3)


def test_the_order_depends_only_on_the_point_set():
    points = clouds()
    points = points - points.mean(1, keepdim=True)
    rotation, _ = random_poses(3, 180.0, 0.0, seed=0)
    moved = apply_pose(points[:, torch.randperm(300)], rotation)
    assert torch.allclose(
        in_order(moved), apply_pose(in_order(points), rotation), atol=1e-3
    )


def test_heads_divide_the_width_by_four_twice():
    widths = [layer.weight.shape for layer in head(1024, torch.eye(3))[::3]]
    assert widths == [(256, 1024), (64, 256), (9, 64)]


def test_geometry_is_exact_under_autocast():
    model, points = aligner(), clouds()
    with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
        aligned, rotation, translation = model(points)
    assert {aligned.dtype, rotation.dtype, translation.dtype} == {torch.float32}
    expected = points.double() @ rotation.double().mT + translation[:, None].double()
    assert torch.allclose(aligned.double(), expected, atol=1e-3)


@pytest.mark.parametrize(
    "points, message",
    [
        (clouds(n=0), "0 points"),
        (clouds(n=20), "20 points a cloud.*at least 64"),
        (torch.ones(2, 300, 3), "fewer than 64 different points"),
        (clouds() * torch.inf, "point 0 of cloud 0 holds NaN or infinity"),
        (clouds()[0], r"shape \(300, 3\)"),
    ],
)
def test_bad_clouds_are_named(points, message):
    with pytest.raises(SkfmError, match=message):
        Aligner(SETTINGS)(points)
