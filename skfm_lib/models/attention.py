"""Factorised attention of the 3D U-Net (paper B.2): over H×W, then along D.

Both read and return (b, c, D, H, W) and add their result to their input.  In
``channels_last_3d`` the channels are the last axis in memory, so that moving them
there is free and every projection is one matrix product.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

HEAD_DIM = 32
BUCKETS, MAX_DISTANCE = 32, 32  # of the relative position bias (T5)


class Attention(nn.Module):
    """Normalisation, queries, keys and values, and the way back to the channels."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels, bias=False)
        self.to_qkv = nn.Linear(channels, 3 * heads * HEAD_DIM, bias=False)
        self.to_out = nn.Linear(heads * HEAD_DIM, channels)

    def project(self, x: Float[Tensor, "b c D H W"]) -> tuple[Tensor, Tensor, Tensor]:
        """q, k, v of shape (b, D, H, W, heads, 32) each."""
        qkv = self.to_qkv(self.norm(x.movedim(1, -1)))
        return qkv.unflatten(-1, (3, self.heads, HEAD_DIM)).unbind(-3)


class SpatialLinearAttention(Attention):
    """Linear attention over H×W, with D as a batch axis (Shen et al. 2021)."""

    def forward(self, x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b c D H W"]:
        q, k, v = (p.flatten(2, 3).transpose(2, 3) for p in self.project(x))
        q = q.softmax(-1) * HEAD_DIM**-0.5  # (b, D, heads, H·W, 32)
        context = k.softmax(-2).transpose(-1, -2) @ v  # (b, D, heads, 32, 32)
        out = (q @ context).transpose(2, 3).flatten(-2)
        return x + self.to_out(out).unflatten(2, x.shape[-2:]).movedim(-1, 1)


class DepthAttention(Attention):
    """Softmax attention along D, with rotary embedding and relative position bias."""

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.bias = nn.Embedding(BUCKETS, heads)

    def forward(self, x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b c D H W"]:
        q, k, v = (p.movedim(1, -2) for p in self.project(x))  # (b, H, W, heads, D, 32)
        turn = _rotation(x.shape[2], x.device)
        q, k = _rotate(q, *turn), _rotate(k, *turn)
        bias = self.bias(_buckets(x.shape[2], x.device)).movedim(-1, 0)
        q, k, v = (p.flatten(0, 2) for p in (q, k, v))
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype))
        b, _, depth, height, width = x.shape
        out = out.view(b, height, width, self.heads, depth, HEAD_DIM)
        return x + self.to_out(out.movedim(-2, 1).flatten(-2)).movedim(-1, 1)


def _rotation(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin (length, 32) of the rotary embedding (Su et al. 2021)."""
    frequency = 10_000 ** (-torch.arange(0, HEAD_DIM, 2, device=device) / HEAD_DIM)
    angle = torch.arange(length, device=device)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of features (i, i + 16) by its angle."""
    half = HEAD_DIM // 2
    turned = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cos.to(x.dtype) + turned * sin.to(x.dtype)


def _buckets(length: int, device: torch.device) -> Tensor:
    """(length, length) bucket of each offset: exact when near, logarithmic when far."""
    position = torch.arange(length, device=device)
    offset = position[None] - position[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    distance = offset.abs()
    far = torch.log(distance.clamp(min=1) / exact) / math.log(MAX_DISTANCE / exact)
    far = (exact + far * (half - exact)).long().clamp(max=half - 1)
    return torch.where(distance < exact, distance, far) + half * (offset > 0)
