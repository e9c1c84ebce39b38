"""The losses of a VQ-GAN against their closed forms."""

import math

import pytest
import torch

from skfm_lib.losses import adversarial


def test_hinge_of_constant_scores():
    # ½ (max(0, 1 − r) + max(0, 1 + f)), whatever the shapes.
    for real, fake, wanted in [(0, 0, 1), (1, -1, 0), (3, -2, 0), (-1, 2, 2.5)]:
        given = torch.full((2, 1, 3), float(real)), torch.full((5,), float(fake))
        assert adversarial.hinge(*given).item() == pytest.approx(wanted)


def test_hinge_of_normal_scores():
    # E max(0, 1 − x) for x ~ N(m, 1) is (1 − m) Φ(1 − m) + φ(1 − m).
    rng = torch.Generator().manual_seed(0)
    real = torch.randn(200_000, generator=rng) + 0.5
    fake = torch.randn(200_000, generator=rng) - 2.0

    def expected(a):
        normal = math.exp(-a * a / 2) / math.sqrt(2 * math.pi)
        return a * (1 + math.erf(a / math.sqrt(2))) / 2 + normal

    wanted = (expected(1 - 0.5) + expected(1 - 2.0)) / 2
    assert adversarial.hinge(real, fake).item() == pytest.approx(wanted, abs=5e-3)


def test_hinge_teaches_only_within_the_margin():
    real = torch.tensor([0.5, 1.5], requires_grad=True)
    fake = torch.tensor([-0.5, -1.5], requires_grad=True)
    adversarial.hinge(real, fake).backward()
    assert real.grad.tolist() == [-0.25, 0.0] and fake.grad.tolist() == [0.25, 0.0]


def test_the_generator_loss_falls_with_every_score():
    fake = torch.tensor([5.0, -3.0], requires_grad=True)
    loss = adversarial.generator_loss(fake)
    loss.backward()
    assert loss.item() == -1 and fake.grad.tolist() == [-0.5, -0.5]


def test_matching_is_a_sum_of_means_without_the_scores():
    real = [torch.ones(1, 2, 3), torch.zeros(4), torch.zeros(1, requires_grad=True)]
    fake = [torch.full((1, 2, 3), 1.5), torch.full((4,), -2.0), torch.full((1,), 100.0)]
    real[0].requires_grad_(), fake[0].requires_grad_()
    loss = adversarial.matching(real, fake)
    loss.backward()
    assert loss.item() == pytest.approx(0.5 + 2.0)
    assert real[0].grad is None  # only the reconstruction is to move
    assert torch.allclose(fake[0].grad, torch.full((1, 2, 3), 1 / 6))


def test_slices_are_those_of_each_volume():
    v = torch.arange(2 * 4 * 3 * 5.0).view(2, 1, 4, 3, 5)
    slices = adversarial.some_slices(v, torch.tensor([3, 0]))
    assert slices.shape == (2, 1, 1, 3, 5)
    assert torch.equal(slices[0, 0, 0], v[0, 0, 3])
    assert torch.equal(slices[1, 0, 0], v[1, 0, 0])
