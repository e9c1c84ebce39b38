"""Residual blocks in slabs and in one piece, against the plain formula."""

import pytest
import torch
from hardware import needs_bf16
from torch.nn import functional as F

from skfm_lib.models.ops.residual import ResidualBlock


def block(channels=8, groups=4, padding="replicate"):
    torch.manual_seed(0)
    made = ResidualBlock(channels, groups, padding)
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.4)
    return made


def plain(made, x, padding="replicate"):
    mode = "constant" if padding == "zeros" else padding

    def conv(layer, x):
        return F.conv3d(F.pad(x, (1,) * 6, mode=mode), layer.weight, layer.bias)

    h = conv(made.conv1, F.silu(made.norm1(x)))
    return x + conv(made.conv2, F.silu(made.norm2(h)))


def volume(batch=2, depth=9, kind=torch.double):
    x = torch.randn(batch, 8, depth, 7, 6).to(kind)
    return x.to(memory_format=torch.channels_last_3d).requires_grad_()


@pytest.mark.parametrize("kept", [True, False], ids=["saved", "recomputed"])
@pytest.mark.parametrize("slab", [1, 1 << 24], ids=["slabs", "one"])
@pytest.mark.parametrize("depth", [1, 2, 5, 9])
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_equals_the_plain_formula(kept, slab, depth, padding, resize):
    resize(saved=1 << 27 if kept else 0)
    resize(slab=slab)
    made, x = block(padding=padding).double(), volume(depth=depth)
    inputs, weight = [x, *made.parameters()], torch.randn_like(x)
    found, wanted = made(x), plain(made, x, padding)
    assert torch.allclose(found, wanted)
    for got, want in zip(
        torch.autograd.grad(found, inputs, weight),
        torch.autograd.grad(wanted, inputs, weight),
    ):
        assert torch.allclose(got, want, rtol=1e-8, atol=1e-9)


@needs_bf16
def test_slabs_change_nothing_but_rounding_in_bf16(resize):
    made, x = block(), volume(1, 24, torch.float32)
    weight = torch.randn_like(x)

    def run(slab, large):
        resize(slab=slab)
        resize(saved=large)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            out = made(x)
        inputs = [x, *made.parameters()]
        return [out, *torch.autograd.grad(out, inputs, weight.to(out.dtype))]

    exact = [plain(made, x)]
    exact += torch.autograd.grad(exact[0], [x, *made.parameters()], weight)
    for pieces, single, want in zip(run(1, 0), run(1 << 24, 1 << 27), exact):
        scale = want.norm()
        assert (pieces - single).norm() < 1e-2 * scale
        assert (pieces - want).norm() < 6e-2 * scale  # bf16: sums nearly cancel


def test_a_large_block_keeps_its_input_only(resize):
    def kept(large):
        resize(saved=large)
        found = []
        with torch.autograd.graph.saved_tensors_hooks(lambda t: found.append(t), id):
            block()(volume(1, kind=torch.float32))
        return sum(t.dim() == 5 and len(t) == 1 for t in found)

    assert (kept(1 << 27), kept(0)) == (2, 1)


def test_the_input_is_left_alone(resize):
    resize(saved=0)
    made, x = block().double(), volume()
    before = x.detach().clone()
    made(x).sum().backward()
    with torch.no_grad():
        made(x)
    assert torch.equal(x, before)
