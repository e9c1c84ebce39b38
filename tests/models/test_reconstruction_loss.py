"""Losses of reconstructions: closed forms, gradients, and weights at the surface."""

import math

import pytest
import torch
from scipy.ndimage import distance_transform_edt

from skfm_lib.models.reconstruction_loss import bce_dice, l1, near_surface


def volume(*values):
    """One volume whose voxels lie along W."""
    return torch.tensor(values, dtype=torch.float32).view(1, 1, 1, 1, -1)


def l1_and_gradient(forgive, v_hat, v):
    v_hat = volume(*v_hat).requires_grad_()
    value = l1(v_hat, volume(*v), forgive)
    (gradient,) = torch.autograd.grad(value, v_hat)
    return value.item(), (gradient * v_hat.numel()).flatten().tolist()


def test_overshoot_is_forgiven_on_the_right_side_only():
    assert l1_and_gradient(True, [1.5], [1.0]) == (0, [0])
    assert l1_and_gradient(True, [-3.0], [-1.0]) == (0, [0])
    assert l1_and_gradient(True, [1.5], [-1.0]) == (2.5, [1])
    assert l1_and_gradient(True, [-3.0], [1.0]) == (4, [-1])
    # A target between the two sides (at the input size) is to be met.
    assert l1_and_gradient(True, [1.5], [0.5]) == (1, [1])


def test_within_the_range_both_losses_are_l1():
    given = [-1.0, -0.5, 0.25, 0.75], [1.0, -1.0, 1.0, -1.0]
    assert l1_and_gradient(True, *given) == l1_and_gradient(False, *given)
    assert l1_and_gradient(False, *given)[0] == pytest.approx(4.5 / 4 + 0.5 / 4)


def test_plain_l1_forgives_nothing():
    assert l1_and_gradient(False, [1.5], [1.0]) == (0.5, [1])
    assert l1_and_gradient(False, [-3.0], [-1.0]) == (2, [-1])


def test_cross_entropy_and_dice_in_closed_form():
    # p = ¾ and ¼ at o = 1 and ½: BCE −ln ¾ and −½ ln ¼ − ½ ln ¾.
    logits, v = volume(math.log(3), -math.log(3)), volume(1, 0)
    entropy = (-math.log(3 / 4) - (math.log(1 / 4) + math.log(3 / 4)) / 2) / 2
    overlap = (2 * (3 / 4 + 1 / 8) + 1) / (1 + 3 / 2 + 1)
    assert bce_dice(logits, v).item() == pytest.approx(entropy + 1 - overlap)


def test_a_batch_has_the_mean_loss_of_its_volumes():
    torch.manual_seed(0)
    logits, v = torch.randn(2, 1, 4, 5, 6), torch.rand(2, 1, 4, 5, 6) * 2 - 1
    v[1] = -v[1].abs()  # of little bone: another Dice, other weights
    v[1, :, :2, :2] = 1
    for surface in (0.0, 4.0):
        alone = [bce_dice(*pair, surface) for pair in zip(logits.split(1), v.split(1))]
        assert bce_dice(logits, v, surface).item() == pytest.approx(
            (sum(alone) / 2).item()
        )


def test_the_cross_entropy_is_smallest_at_the_grey_target():
    v = (torch.rand(1, 1, 6, 6, 6, generator=torch.manual_seed(0)) * 2 - 1) * 0.9
    logits = torch.special.logit((v + 1) / 2).requires_grad_()
    p = (v + 1) / 2
    overlap = (2 * (p * p).sum() + 1) / (2 * p.sum() + 1)  # of grey voxels below 1
    value = bce_dice(logits, v)
    entropy = -(p.xlogy(p) + (1 - p).xlogy(1 - p)).mean()
    assert value.item() == pytest.approx((entropy + 1 - overlap).item(), rel=1e-5)
    (gradient,) = torch.autograd.grad(value, logits)
    # What is left is the gradient of the Dice loss: towards 1 above overlap/2.
    sharper = (p > overlap / 2).float() * 2 - 1
    far = (p - overlap / 2).abs() > 0.01
    assert torch.equal(-gradient.sign()[far], sharper[far])


@pytest.mark.parametrize("logit", [-1e30, -200.0, 0.0, 200.0, 1e30])
@pytest.mark.parametrize("level", [-1.0, 1.0])
def test_value_and_gradient_are_finite_at_extreme_logits(logit, level):
    v = torch.full((1, 1, 3, 4, 5), level)  # empty, or full
    logits = torch.full_like(v, logit).requires_grad_()
    value = bce_dice(logits, v, surface=4.0)
    (gradient,) = torch.autograd.grad(value, logits)
    assert value.isfinite() and gradient.isfinite().all()
    if logit * level > 0:
        assert value == 0 and not gradient.any()  # an empty volume found empty
    elif logit:
        assert (gradient * logit > 0).all()  # towards the target however far away


def test_an_overlap_is_worth_more_than_none():
    v = volume(*[-1] * 98, 1, 1)
    none, half = volume(*[-9.0] * 100), volume(*[-9.0] * 99, 9.0)
    cross_entropy = torch.nn.functional.binary_cross_entropy_with_logits
    for logits, overlap in ((none, 1 / 3), (half, 3 / 4)):  # (2·common + 1)/(sum + 1)
        dice_loss = bce_dice(logits, v) - cross_entropy(logits, (v + 1) / 2)
        assert dice_loss.item() == pytest.approx(1 - overlap, abs=0.01)


def test_voxels_near_the_surface_are_those_within_one_and_a_half_voxels():
    torch.manual_seed(0)
    v = torch.randn(2, 1, 9, 10, 11) - 1.6  # sparse bone, so that many are far away
    v[0, 0, 4:7, 4:8, 3:9] = 1.0  # and a solid part
    v[0, 0, 0, 0, 0] = 0.0  # the level itself is background
    found = near_surface(v)
    for one, bone in zip(found[:, 0].numpy(), (v[:, 0] > 0).numpy()):
        other = distance_transform_edt(bone) + distance_transform_edt(~bone)
        assert (one == (other <= 1.5)).all()
    assert 0.2 < found.float().mean() < 0.8
    assert not near_surface(torch.full((1, 1, 3, 3, 3), -1.0)).any()


def test_corners_of_a_block_are_beyond_one_and_a_half_voxels():
    v = torch.full((1, 1, 3, 3, 3), -1.0)
    v[..., 1, 1, 1] = 1
    found = near_surface(v)[0, 0]
    assert found.sum() == 19 and not found[0, 0, 0] and found[0, 0, 1]


def test_the_weighted_mean_is_that_of_weights_1_and_1_plus_surface():
    v = volume(-1, -1, -1, 1, 1, 1, 1)  # the third and fourth are at the surface
    v_hat = v + volume(1, 2, 3, 4, 5, 6, 7)
    wanted = (1 + 2 + 5 * 3 + 5 * 4 + 5 + 6 + 7) / (5 + 2 * 5)
    assert l1(v_hat, v, surface=4.0).item() == pytest.approx(wanted)
    flat = torch.full_like(v, -1.0)  # no surface: all weights are equal
    assert l1(v_hat, flat, surface=4.0).item() == pytest.approx(
        l1(v_hat, flat).item(), rel=1e-6
    )
