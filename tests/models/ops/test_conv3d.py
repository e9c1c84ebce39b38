"""3³ convolutions in halves, and layers that stay exact under mixed precision."""

import copy

import pytest
import torch
from hardware import needs_bf16
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops import conv3d as module
from skfm_lib.models.ops.conv3d import (
    Conv3d,
    Doubling,
    Readout,
    convolve,
    kernel_gradient,
    transposed,
)

DEPTHS = [1, 2, 3, 8, 13]
SHAPES = [
    (3, 1, 1, (2, 9, 9)),
    (3, 1, 1, (2, 2, 2)),
    (3, 1, 1, (5, 3, 8)),
    (7, 1, 3, (5, 12, 9)),
    (7, 1, 3, (8, 8, 8)),
    (4, 2, 1, (4, 8, 6)),
    (1, 1, 0, (2, 3, 4)),
]


def volume(depth: int, channels: int = 4) -> Tensor:
    x = torch.randn(1, channels, depth, 5, 6)
    return x.contiguous(memory_format=torch.channels_last_3d)


@pytest.fixture
def weight():
    torch.manual_seed(0)
    return torch.randn(6, 4, 3, 3, 3)


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("padding", [(1, 1, 1), (0, 1, 1)])
def test_halves_equal_one_piece(weight, depth, padding):
    x = volume(depth + 2 * (1 - padding[0]))
    bias = torch.randn(6)
    got = convolve(x, weight, bias, padding)
    want = F.conv3d(x.double(), weight.double(), bias.double(), padding=padding)
    assert got.shape == want.shape and (got - want).abs().max() < 1e-4


@pytest.mark.parametrize("depth", DEPTHS)
def test_gradients_of_kernels_equal_autograd(weight, depth):
    block, exact = volume(depth + 2), weight.double().requires_grad_()
    y = F.conv3d(block.double(), exact)
    grad = torch.randn(y.shape)
    (want,) = torch.autograd.grad(y, exact, grad.double())
    got = kernel_gradient(block, grad, weight)
    assert (got - want).abs().max() < 1e-4


@pytest.mark.parametrize("count", [1, 2])
def test_tiles_give_the_gradient_of_the_map(monkeypatch, count):
    torch.manual_seed(0)
    cut, tiles = [], module.tiles
    monkeypatch.setattr(module, "tiles", lambda *a: cut.append(tiles(*a)) or cut[-1])
    monkeypatch.setattr(module, "FEW", 0)  # no halves
    monkeypatch.setattr(module, "TILE", 1 << 14)  # 5³ voxels of 32 channels
    block = torch.randn(count, 24, 15, 17, 11).to(memory_format=torch.channels_last_3d)
    exact = torch.zeros(32, 24, 3, 3, 3, dtype=torch.float64, requires_grad=True)
    y = F.conv3d(block.double(), exact)
    grad = torch.randn(y.shape).to(memory_format=torch.channels_last_3d)
    (want,) = torch.autograd.grad(y, exact, grad.double())
    got = kernel_gradient(block, grad, exact.float())
    assert [part.shape for part in cut] == [
        (18 * count, 24, 7, 7, 7),  # 3 × 3 × 2 tiles
        (18 * count, 32, 5, 5, 5),
    ]
    assert (got - want).abs().max() < 1e-5 * want.abs().max()
    cut.clear()
    few = kernel_gradient(block[:, :16], grad, exact[:, :16].float())
    assert not cut and (few - want[:, :16]).abs().max() < 1e-5 * want.abs().max()


def test_gradients_go_back_through_the_transposed_kernel(weight):
    x = volume(7).double().requires_grad_()
    y = F.conv3d(x, weight.double(), padding=1)
    grad = torch.randn(y.shape)
    (want,) = torch.autograd.grad(y, x, grad.double())
    got = convolve(grad, transposed(weight), None, (1, 1, 1))
    assert (got - want).abs().max() < 1e-4


def test_layers_learn_alike_in_halves_and_in_one_piece(monkeypatch):
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
    avoids = module._avoids_onednn
    assert avoids(torch.zeros(1, 8, 4, 8, 9))
    assert not avoids(torch.zeros(2, 8, 4, 8, 9))
    assert not avoids(torch.zeros(1, 8, 4, 8, 9).bfloat16())
    assert not avoids(torch.zeros(1, 8, 4, 8, 9).double())
    assert not avoids(torch.zeros(1, 32, 40, 20, 2))


def gradients(conv, x, mixed):
    """(output, weight gradient) of a random projection of the output."""
    x, conv = x.clone().requires_grad_(), copy.deepcopy(conv)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=mixed):
        y = conv(x)
    weight = torch.randn(y.shape, generator=torch.Generator().manual_seed(3))
    (y.float() * weight).sum().backward()
    return y.float(), conv.weight.grad, x.grad


@needs_bf16
@pytest.mark.parametrize(("kernel", "stride", "padding", "size"), SHAPES)
def test_convolutions_are_right_under_bf16(kernel, stride, padding, size):
    torch.manual_seed(0)
    conv = Conv3d(8, 16, kernel, stride=stride, padding=padding)
    x = torch.randn(2, 8, *size).to(memory_format=torch.channels_last_3d)
    conv = conv.to(memory_format=torch.channels_last_3d)
    for got, want in zip(gradients(conv, x, True), gradients(conv, x, False)):
        assert (got - want).norm() / want.norm() < 1e-2


def test_convolutions_equal_torch_in_float32():
    torch.manual_seed(0)
    ours, theirs = Conv3d(4, 6, 3, padding=1), nn.Conv3d(4, 6, 3, padding=1)
    theirs.load_state_dict(ours.state_dict())
    for size in ((2, 5, 5), (6, 5, 7)):
        x = torch.randn(1, 4, *size)
        assert torch.allclose(ours(x), theirs(x), atol=1e-6)


def padded(x, padding):
    """By PyTorch's own function."""
    return F.pad(x, (1,) * 6, mode="constant" if padding == "zeros" else padding)


LAYERS = {  # (ours, the same on a padded map)
    "readout": (
        lambda padding: Readout(6, padding),
        lambda made, x: F.conv3d(x, made.weight, made.bias),
    ),
    "3³": (
        lambda padding: Conv3d(6, 4, 3, padding=1, padding_mode=padding),
        lambda made, x: F.conv3d(x, made.weight, made.bias),
    ),
    "4³ of stride 2": (
        lambda padding: Conv3d(6, 4, 4, 2, padding=1, padding_mode=padding),
        lambda made, x: F.conv3d(x, made.weight, made.bias, stride=2),
    ),
    "doubling": (
        lambda padding: Doubling(6, 4, padding),
        lambda made, x: F.conv_transpose3d(
            x, made.weight, made.bias, stride=2, padding=3
        ),
    ),
}


@pytest.mark.parametrize("slab", [1, 1 << 24], ids=["slabs", "one"])
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("size", [(5, 6, 7), (2, 2, 3), (2, 5, 5)])
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_equal_a_convolution_of_a_padded_map(layer, size, padding, slab, resize):
    resize(slab=slab)
    torch.manual_seed(0)
    make, plain = LAYERS[layer]
    ours = make(padding).double()
    x = torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    got, want = ours(x), plain(ours, padded(x, padding))
    assert got.shape == want.shape and torch.allclose(got, want, atol=1e-12)
    weight, inputs = torch.randn_like(want), [x, *ours.parameters()]
    for a, b in zip(
        torch.autograd.grad(got, inputs, weight),
        torch.autograd.grad(want, inputs, weight),
    ):
        assert torch.allclose(a, b, atol=1e-12)


@needs_bf16
@pytest.mark.parametrize("layer", ["readout", "doubling"])
def test_gradients_are_right_under_bf16(layer, resize):
    resize(slab=1)  # sums over many slabs
    torch.manual_seed(0)
    conv = LAYERS[layer][0]("replicate")
    x = torch.randn(1, 6, 9, 8, 7).to(memory_format=torch.channels_last_3d)
    for got, want in zip(gradients(conv, x, True), gradients(conv, x, False)):
        assert (got - want).norm() / want.norm() < 1e-2
