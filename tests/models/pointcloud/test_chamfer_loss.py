"""The Chamfer loss: the metric's value, with the right gradients."""

import pytest
import torch

from skfm_lib.metrics import chamfer
from skfm_lib.models.pointcloud import chamfer_loss, random_poses
from skfm_lib.utils.errors import SkfmError


def pair():
    rng = torch.Generator().manual_seed(0)
    pred = torch.randn(2, 60, 3, generator=rng, dtype=torch.float64) * 50
    return pred, torch.randn(2, 90, 3, generator=rng, dtype=torch.float64) * 50


def test_is_the_metric_in_millimetres():
    pred, target = pair()
    assert chamfer_loss(pred, target) == pytest.approx(chamfer(pred, target).cd.mean())
    scaled = chamfer_loss(10 * pred, 10 * target)
    assert scaled == pytest.approx(10 * chamfer_loss(pred, target).item())


def test_gradients_are_those_of_the_complete_table():
    pred, target = (cloud.requires_grad_() for cloud in pair())
    chamfer_loss(pred, target).backward()
    found = pred.grad.clone(), target.grad.clone()
    pred.grad = target.grad = None
    table = (pred[:, :, None] - target[:, None]).norm(dim=-1)
    ((table.min(1).values.mean() + table.min(2).values.mean()) / 2).backward()
    assert torch.allclose(found[0], pred.grad) and torch.allclose(found[1], target.grad)


def test_zero_with_a_finite_gradient_on_itself():
    cloud = pair()[0].requires_grad_()
    loss = chamfer_loss(cloud, cloud.detach()[:, torch.randperm(60)])
    loss.backward()
    assert loss == 0 and torch.isfinite(cloud.grad).all()


def test_order_and_pose_do_not_matter():
    pred, target = pair()
    rotation, translation = (p.double() for p in random_poses(2, 180.0, 100.0, 3))
    moved = [c @ rotation.mT + translation[:, None] for c in (pred, target)]
    shuffled = moved[0][:, torch.randperm(60)]
    assert chamfer_loss(shuffled, moved[1]) == pytest.approx(
        chamfer_loss(pred, target).item()
    )


def test_bad_clouds_are_reported():
    pred, target = pair()
    with pytest.raises(SkfmError, match="NaN"):
        chamfer_loss(pred * torch.nan, target)
    with pytest.raises(SkfmError, match="0 points"):
        chamfer_loss(pred, target[:, :0])
