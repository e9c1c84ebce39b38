"""Layers that stay exact under mixed precision."""

import copy

import pytest
import torch
from torch import nn

from skfm_lib.models.layers import Conv3d, GroupNorm

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
        assert torch.equal(ours(x), theirs(x))


def test_group_norm_equals_torch_in_float32():
    torch.manual_seed(0)
    ours, theirs = GroupNorm(4, 8, eps=1e-6), nn.GroupNorm(4, 8, eps=1e-6)
    with torch.no_grad():
        ours.weight.uniform_(0.5, 2), ours.bias.uniform_(-1, 1)
    theirs.load_state_dict(ours.state_dict())
    x = 3 + 2 * torch.randn(2, 8, 3, 4, 5)
    assert torch.equal(ours(x), theirs(x))
    groups = ours(x).sub(ours.bias[:, None, None, None])
    groups = groups.div(ours.weight[:, None, None, None]).view(2, 4, -1)
    assert groups.mean(-1).abs().max() < 1e-5
    assert (groups.var(-1, correction=0) - 1).abs().max() < 1e-4


def test_group_norm_keeps_its_digits_in_bf16():
    # A mean of 100 with a spread of 1: bf16 statistics would be off by half.
    x = (100 + torch.randn(1, 8, 20, 20, 20)).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = GroupNorm(4, 8)(x)
    want = nn.GroupNorm(4, 8).double()(x.double())
    assert got.dtype == torch.bfloat16
    assert (got.double() - want).abs().max() < 2e-2
