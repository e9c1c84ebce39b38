"""Layers that stay exact under mixed precision."""

import copy

import pytest
import torch
from hardware import needs_bf16
from torch import nn

from skfm_lib.models.ops.mixed_precision import Conv3d, Readout

SHAPES = [
    (3, 1, 1, (2, 9, 9)),
    (3, 1, 1, (2, 2, 2)),
    (3, 1, 1, (5, 3, 8)),
    (7, 1, 3, (5, 12, 9)),
    (7, 1, 3, (8, 8, 8)),
    (4, 2, 1, (4, 8, 6)),
    (1, 1, 0, (2, 3, 4)),
]


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


@pytest.mark.parametrize("size", [(5, 6, 7), (1, 2, 3), (2, 5, 5)])
def test_readout_equals_a_convolution_to_one_channel(size):
    torch.manual_seed(0)
    ours = Readout(6).double()
    theirs = nn.Conv3d(6, 1, 3, padding=1).double()
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(2, 6, *size, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 1, *size, dtype=torch.double)
    assert torch.allclose(ours(x), theirs(x))
    for got, want in zip(
        torch.autograd.grad(ours(x), [x, *ours.parameters()], weight),
        torch.autograd.grad(theirs(x), [x, *theirs.parameters()], weight),
    ):
        assert torch.allclose(got, want, atol=1e-12)
