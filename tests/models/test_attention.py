"""Attention of the 3D U-Net, against the formulas written out."""

import math

import torch

from skfm_lib.models.attention import (
    BUCKETS,
    HEAD_DIM,
    DepthAttention,
    SpatialLinearAttention,
    _buckets,
    _rotate,
    _rotation,
)

CPU = torch.device("cpu")
HEADS, CHANNELS = 2, 6


def layer(kind):
    torch.manual_seed(0)
    made = kind(CHANNELS, HEADS).double()
    with torch.no_grad():
        made.norm.weight.uniform_(0.5, 1.5)
    return made


def volume(*size):
    rng = torch.Generator().manual_seed(1)
    return torch.randn(2, CHANNELS, *size, generator=rng, dtype=torch.float64)


def projected(made, vector):
    """Rows of q, k, v (heads, 32) of one voxel's channels."""
    normal = (vector - vector.mean()) / (vector.var(correction=0) + 1e-5).sqrt()
    qkv = made.to_qkv.weight @ (normal * made.norm.weight)
    return qkv.view(3, HEADS, HEAD_DIM)


def turned(x, position):
    """Each pair (i, i + 16) as a complex number, turned by position · 10000^(−i/16)."""
    half = HEAD_DIM // 2
    pairs = torch.complex(x[..., :half], x[..., half:])
    angle = position * 10_000 ** (-torch.arange(half).double() / half)
    pairs = pairs * torch.polar(torch.ones_like(angle), angle)
    return torch.cat([pairs.real, pairs.imag], -1)


def test_depth_attention_is_softmax_with_rotation_and_bias():
    made, x = layer(DepthAttention), volume(5, 2, 3)
    buckets, want = _buckets(5, CPU), x.clone()
    for b, h, w in torch.cartesian_prod(*map(torch.arange, (2, 2, 3))).tolist():
        q, k, v = torch.stack([projected(made, x[b, :, d, h, w]) for d in range(5)], 1)
        for d in range(5):
            heads = []
            for n in range(HEADS):
                logits = torch.stack(
                    [
                        turned(q[d, n], d) @ turned(k[e, n], e) / math.sqrt(HEAD_DIM)
                        + made.bias.weight[buckets[d, e], n]
                        for e in range(5)
                    ]
                )
                heads.append(logits.softmax(0) @ v[:, n])
            want[b, :, d, h, w] += made.to_out(torch.cat(heads))
    assert torch.allclose(made(x), want, atol=1e-5)


def test_spatial_attention_is_the_linear_formula():
    made, x = layer(SpatialLinearAttention), volume(2, 2, 3)
    want = x.clone()
    for b, d in torch.cartesian_prod(torch.arange(2), torch.arange(2)).tolist():
        rows = x[b, :, d].flatten(1).T  # (6 voxels, channels)
        q, k, v = torch.stack([projected(made, row) for row in rows], 1)
        heads = []
        for n in range(HEADS):
            query = q[:, n].exp() / q[:, n].exp().sum(1, keepdim=True)
            key = k[:, n].exp() / k[:, n].exp().sum(0, keepdim=True)
            heads.append((query / math.sqrt(HEAD_DIM)) @ (key.T @ v[:, n]))
        out = made.to_out(torch.cat(heads, 1)).T
        want[b, :, d] += out.view(CHANNELS, 2, 3)
    assert torch.allclose(made(x), want, atol=1e-8)


def sees(made, x, voxel):
    """Where the output changes when one voxel of the input does (b, D, H, W)."""
    changed = x.clone()
    changed[voxel] += torch.linspace(-1, 2, CHANNELS).double()
    return (made(changed) - made(x)).abs().amax(1) > 1e-9


def test_spatial_attention_sees_its_slice_only():
    seen = sees(
        layer(SpatialLinearAttention), volume(3, 2, 4), (0, slice(None), 1, 1, 2)
    )
    assert seen[0, 1].all() and seen.sum() == 8


def test_depth_attention_sees_its_column_only():
    seen = sees(layer(DepthAttention), volume(3, 2, 4), (1, slice(None), 1, 1, 2))
    assert seen[1, :, 1, 2].all() and seen.sum() == 3


def test_rotated_scores_depend_on_the_offset_only():
    cos, sin = _rotation(40, CPU)
    q, k = torch.randn(2, HEAD_DIM, generator=torch.Generator().manual_seed(0))
    scores = _rotate(q.expand(40, -1), cos, sin) @ _rotate(k.expand(40, -1), cos, sin).T
    for offset in (0, 1, 7, 39):
        along = scores.diagonal(offset)
        assert (along - along[0]).abs().max() < 1e-4
    assert (scores[0] - scores[0, 0]).abs().max() > 0.1


def test_buckets_are_symmetric_and_grow_with_distance():
    length = 60
    buckets = _buckets(length, CPU)
    before, after = buckets[-1].flip(0), buckets[0]  # by distance, either side
    assert (before.diff() >= 0).all() and (after[1:].diff() >= 0).all()
    assert torch.equal(after[1:], before[1:] + BUCKETS // 2)  # two disjoint halves
    assert torch.equal(before[:8], torch.arange(8))  # exact when near
    assert before[-1] == BUCKETS // 2 - 1 and after[-1] == BUCKETS - 1
    assert before[16] == 12  # half-way in the logarithm between 8 and 32
    for offset in range(-length + 1, length):  # a function of the offset only
        assert len(buckets.diagonal(offset).unique()) == 1
