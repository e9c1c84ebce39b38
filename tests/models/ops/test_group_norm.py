"""Normalisation with SiLU, against PyTorch's own layers one after the other."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skfm_lib.models.ops.group_norm import Moments, NormSiLU
from skfm_lib.utils.device import planned


def layer(groups=4, channels=8):
    torch.manual_seed(0)
    made = NormSiLU(groups, channels, eps=1e-6).double()
    with torch.no_grad():
        made.weight.uniform_(0.5, 2), made.bias.uniform_(-1, 1)
    return made


def plain(made, x, scale=0.0, shift=0.0):
    n = nn.GroupNorm.forward(made, x)
    if torch.is_tensor(scale):
        scale, shift = (v[..., None, None, None] for v in (scale, shift))
    return F.silu(n * (1 + scale) + shift)


@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
@pytest.mark.parametrize("slab", [1, 1 << 24], ids=["slabs", "one"])
def test_equals_group_norm_and_silu(slab, layout, resize):
    resize(slab=slab)
    made = layer()
    x = 3 + 2 * torch.randn(2, 8, 7, 4, 5, dtype=torch.double)
    x = x.to(memory_format=layout).requires_grad_()
    film = [torch.randn(2, 8, dtype=torch.double, requires_grad=True) for _ in "ab"]
    weight = torch.randn_like(x)
    for extra in ([], film):
        found, wanted = made(x, *extra), plain(made, x, *extra)
        assert torch.allclose(found, wanted)
        inputs = [x, *made.parameters(), *extra]
        for got, want in zip(
            torch.autograd.grad(found, inputs, weight),
            torch.autograd.grad(wanted, inputs, weight),
        ):
            assert torch.allclose(got, want, rtol=1e-8, atol=1e-10)


def test_gradients_by_finite_differences():
    x = torch.randn(1, 8, 4, 2, 2, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(layer(), x)


def test_keeps_its_digits_in_bf16():
    # A mean of 100 with a spread of 1: bf16 statistics would be off by half.
    x = (100 + torch.randn(1, 8, 20, 20, 20)).bfloat16()
    made = NormSiLU(4, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        got = made(x)
    want = F.silu(nn.GroupNorm(4, 8).double()(x.double()))
    assert got.dtype == torch.bfloat16
    assert (got.double() - want).abs().max() < 2e-2


def test_keeps_its_input_only():
    kept = []
    x = torch.randn(1, 8, 6, 5, 4, requires_grad=True)
    hooks = torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, id)
    with hooks:
        NormSiLU(4, 8)(x)
    assert [t.numel() for t in kept if t.dim() == 5] == [x.numel()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("layout", [torch.channels_last_3d, torch.contiguous_format])
def test_statistics_by_channels_equal_those_by_groups(layout, dtype):
    spread = torch.linspace(0.1, 3, 8).view(1, 8, 1, 1, 1)
    x = 10 + spread * torch.randn(1, 8, 9, 10, 11)
    x = x.to(dtype, memory_format=layout)
    by_groups = Moments(x, 4, 1e-6)
    by_groups.add(x[:, :, :4]), by_groups.add(x[:, :, 4:])
    with planned(1 << 30):
        by_channels = Moments(x, 4, 1e-6)
        by_channels.add(x[:, :, :3]), by_channels.add(x[:, :, 3:])
    weight = torch.ones(8)
    found, wanted = (m.normalised(weight, weight) for m in (by_channels, by_groups))
    assert torch.allclose(found.mean, wanted.mean, rtol=1e-6)
    assert torch.allclose(found.variance, wanted.variance, rtol=2e-3)
    exact = x.double().reshape(4, -1).var(1, correction=0).repeat_interleave(2)
    assert torch.allclose(found.variance.double(), exact, rtol=1e-5)
