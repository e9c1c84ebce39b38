"""3³ convolutions in halves, against PyTorch's in float64."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.models.ops import conv3d as module
from skfm_lib.models.ops.conv3d import convolve, kernel_gradient, transposed
from skfm_lib.models.ops.mixed_precision import Conv3d

DEPTHS = [1, 2, 3, 8, 13]


def volume(depth: int, channels: int = 4) -> Tensor:
    x = torch.randn(1, channels, depth, 5, 6)
    return x.contiguous(memory_format=torch.channels_last_3d)


@pytest.fixture
def weight():
    torch.manual_seed(0)
    return torch.randn(6, 4, 3, 3, 3)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("padding", [(1, 1, 1), (0, 1, 1)])
def test_halves_are_the_whole(weight, depth, padding):
    x = volume(depth + 2 * (1 - padding[0]))
    bias = torch.randn(6)
    got = convolve(x, weight, bias, padding)
    want = F.conv3d(x.double(), weight.double(), bias.double(), padding=padding)
    assert got.shape == want.shape and (got - want).abs().max() < 1e-4


@pytest.mark.parametrize("depth", DEPTHS)
def test_gradients_of_kernels_are_those_of_the_whole(weight, depth):
    block, exact = volume(depth + 2), weight.double().requires_grad_()
    y = F.conv3d(block.double(), exact, padding=(0, 1, 1))
    grad = torch.randn(y.shape)
    (want,) = torch.autograd.grad(y, exact, grad.double())
    got = kernel_gradient(block, grad, weight)
    assert (got - want).abs().max() < 1e-4


def test_gradients_go_back_through_the_transposed_kernel(weight):
    x = volume(7).double().requires_grad_()
    y = F.conv3d(x, weight.double(), padding=1)
    grad = torch.randn(y.shape)
    (want,) = torch.autograd.grad(y, x, grad.double())
    got = convolve(grad, transposed(weight), None, (1, 1, 1))
    assert (got - want).abs().max() < 1e-4


def test_layers_learn_alike_in_halves_and_whole(monkeypatch):
    torch.manual_seed(0)
    layer, x = Conv3d(4, 6, 3, padding=1), volume(9)
    found = []
    for few in (module.FEW, 0):
        monkeypatch.setattr(module, "FEW", few)
        layer.zero_grad()
        layer(x).square().sum().backward()
        found.append(layer.weight.grad.clone())
    assert not torch.equal(*found)  # two ways
    assert torch.allclose(*found, rtol=1e-4, atol=1e-3)


def test_only_single_small_float32_samples_are_halved():
    passed_over = module._passed_over
    assert passed_over(torch.zeros(1, 8, 4, 8, 9))
    assert not passed_over(torch.zeros(2, 8, 4, 8, 9))
    assert not passed_over(torch.zeros(1, 8, 4, 8, 9).bfloat16())
    assert not passed_over(torch.zeros(1, 8, 4, 8, 9).double())
    assert not passed_over(torch.zeros(1, 32, 40, 20, 2))
