"""Factorised attention of the 3D U-Net (paper B.2): over H×W, then along D.

Slices, and columns, are independent: both layers work on parts (`device.Sizes`) and,
for large maps, recompute them in the backward pass.  At the paper's size,
queries, keys and values alone would take 1.3 GB a layer.  Moving the channels to the
end is free in ``channels_last_3d``.
"""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.conv3d import precision
from skfm_lib.models.ops.recompute import in_parts, large
from skfm_lib.utils.device import sizes

HEAD_DIM = 32
BUCKETS, MAX_DISTANCE = 32, 32  # of the relative position bias (T5)
HIGHEST = 80.0  # score: e^80 does not overflow, so that no maximum is subtracted


class Attention(nn.Module):
    """Normalisation, queries, keys and values, and a projection to the channels."""

    axis: int  # of (b, D, H, W, c), along which parts are independent

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(channels, bias=False)
        self.to_qkv = nn.Linear(channels, 3 * heads * HEAD_DIM, bias=False)
        self.to_out = nn.Linear(heads * HEAD_DIM, channels)

    def forward(self, x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b c D H W"]:
        dtype = precision(x, 1)
        with torch.autocast(x.device.type, enabled=False):
            return x + self.core(x.to(dtype).movedim(1, -1)).movedim(-1, 1)

    def core(self, x: Float[Tensor, "b D H W c"]) -> Float[Tensor, "b D H W c"]:
        """The update that attention adds to x."""
        length = max(1, sizes(x).part * x.shape[self.axis] // x[..., 0].numel())
        save = not large(x, times=len(self.to_qkv.weight) / x.shape[-1])
        if save and torch.is_grad_enabled():
            parts = x.split(length, self.axis)
            return torch.cat([self.attend(part) for part in parts], self.axis)
        return in_parts(self.attend, self.parameters(), x, length, self.axis)

    def attend(self, x: Float[Tensor, "b D H W c"]) -> Float[Tensor, "b D H W c"]:
        """The update of a part."""
        normal = F.layer_norm(x, x.shape[-1:], self.norm.weight.to(x.dtype))
        weights = self.to_qkv.weight.to(x.dtype).chunk(3)
        out = self.mix(normal.flatten(2, 3), *weights)
        to_out = self.to_out.weight.to(x.dtype), self.to_out.bias.to(x.dtype)
        return F.linear(out, *to_out).view(x.shape)

    def mix(self, x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
        """(b, D, H·W, c) → (b, D, H·W, heads · 32)."""
        raise NotImplementedError


class SpatialLinearAttention(Attention):
    """Linear attention over H×W, with D as a batch axis (Shen et al. 2021)."""

    axis = 1

    def mix(self, x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
        b, depth, *_ = x.shape
        slices = x.flatten(0, 1).transpose(1, 2)  # (b · D, c, H·W)
        weights = (w.expand(len(slices), -1, -1) for w in (w_q, w_k, w_v))
        maps = (torch.bmm(weight, slices) for weight in weights)
        # (b · D · heads, 32, H·W): the layout of the products that follow
        q, k, v = (m.view(-1, HEAD_DIM, slices.shape[2]) for m in maps)
        context = k.softmax(2) @ v.transpose(1, 2) * HEAD_DIM**-0.5
        out = context.transpose(1, 2) @ q.softmax(1)
        return out.view(b, depth, self.heads * HEAD_DIM, -1).transpose(2, 3)


class DepthAttention(Attention):
    """Softmax attention along D, with rotary embedding and relative position bias."""

    axis = 2

    def __init__(self, channels: int, heads: int) -> None:
        super().__init__(channels, heads)
        self.bias = nn.Embedding(BUCKETS, heads)

    def mix(self, x: Tensor, w_q: Tensor, w_k: Tensor, w_v: Tensor) -> Tensor:
        b, depth, columns, _ = x.shape
        rotation = _rotation(depth, x.device)
        q = self._rows(x, self._rotated(w_q * HEAD_DIM**-0.5, *rotation))
        k = self._rows(x, self._rotated(w_k, *rotation))
        v = self._rows(x, w_v.t())
        bias = self.bias(_buckets(depth, x.device)).movedim(-1, 0)
        bias = bias.to(x.dtype).contiguous()
        scores = (q @ k.transpose(1, 2)).view(-1, self.heads, depth, depth)
        weights = F.hardtanh_(scores.add_(bias), -HIGHEST, HIGHEST).exp_().flatten(0, 1)
        out = weights @ v / weights.sum(-1, keepdim=True)
        out = out.view(b, columns, self.heads, depth, HEAD_DIM)
        return out.permute(0, 3, 1, 2, 4).flatten(3)

    def _rotated(self, weight: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        """(D, c, heads · 32): projections rotated by position, in place of voxels."""
        rows = weight.unflatten(0, (self.heads, HEAD_DIM)).transpose(1, 2)
        rotated = _rotate(rows, cos[:, None, None], sin[:, None, None])
        return rotated.transpose(1, 2).flatten(2)

    def _rows(self, x: Tensor, weight: Tensor) -> Tensor:
        """(b · columns · heads, D, 32), contiguous for the products that follow."""
        rows = (x @ weight).unflatten(-1, (self.heads, HEAD_DIM))
        return rows.permute(0, 2, 3, 1, 4).contiguous().flatten(0, 2)


def _rotation(length: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """cos and sin (length, 32) of the rotary embedding (Su et al. 2021)."""
    frequency = 10_000 ** (-torch.arange(0, HEAD_DIM, 2, device=device) / HEAD_DIM)
    angle = torch.arange(length, device=device)[:, None] * frequency
    angle = torch.cat([angle, angle], dim=-1)
    return angle.cos(), angle.sin()


def _rotate(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Rotate each pair of features (i, i + 16) by its angle."""
    half = HEAD_DIM // 2
    quarter_turn = torch.cat([-x[..., half:], x[..., :half]], dim=-1)
    return x * cos.to(x.dtype) + quarter_turn * sin.to(x.dtype)


def _buckets(length: int, device: torch.device) -> Int[Tensor, "{length} {length}"]:
    """Bucket of each offset: exact for near ones, logarithmic for distant ones."""
    position = torch.arange(length, device=device)
    offset = position[None] - position[:, None]
    half, exact = BUCKETS // 2, BUCKETS // 4
    distance = offset.abs()
    far = torch.log(distance.clamp(min=1) / exact) / math.log(MAX_DISTANCE / exact)
    far = (exact + far * (half - exact)).long().clamp(max=half - 1)
    return torch.where(distance < exact, distance, far) + half * (offset > 0)
