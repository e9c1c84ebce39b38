"""Group normalisation followed by SiLU, as one operation that keeps only its input.

n = γ (x − μ) / σ + β with μ, σ of each sample and group of channels over the whole
volume, and a = n · sigmoid(n).  In eager PyTorch this keeps three to four copies of
a map, one of them in float32; here they are made again in the backward pass, slab
by slab.  Statistics are in float32, whatever the precision of the maps.
"""

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.tiling import cuts

BACKWARD = torch.ops.aten.native_batch_norm_backward


@dataclass
class Normalised:
    """One sample's normalisation, channel by channel: all vectors have length c.

    PyTorch's batch norm in inference mode is used as what it is, one pass of
    multiply and add per channel with float32 inside.
    """

    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    groups: int
    eps: float

    @cached_property
    def _rstd(self) -> Tensor:
        return (self.variance + self.eps).rsqrt()

    def normalise(self, x: Tensor) -> Tensor:
        """n, before the activation."""
        vectors = (self.mean, self.variance, self.weight, self.bias)
        return F.batch_norm(x, *vectors, False, 0.0, self.eps)

    def activate(self, x: Tensor) -> Tensor:
        """a = silu(n)."""
        return F.silu(self.normalise(x), inplace=True)

    def back(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """∂n from ∂a, and what it adds to the sums (∂γ, ∂β), (2, c)."""
        grad = torch.ops.aten.silu_backward(grad, self.normalise(x))
        vectors = (self.weight, self.mean, self.variance, None, None)
        mask = [False, True, True]
        _, *sums = BACKWARD(grad, x, *vectors, False, self.eps, mask)
        return grad, torch.stack(sums)

    def finish(self, grad: Tensor, x: Tensor, sums: Tensor, voxels: int) -> Tensor:
        """∂x from ∂n, once the sums over the whole volume are known."""
        share = self.weight * sums / voxels  # of the channel, then of its group
        share = share.view(2, self.groups, -1).mean(-1, keepdim=True)
        along, level = share.expand(2, self.groups, len(self.mean) // self.groups)
        along, level = along.flatten(), level.flatten()
        slope = -self._rstd.square() * along
        start = -self._rstd * level - slope * self.mean
        return _affine(grad, self.weight * self._rstd, start) + _affine(x, slope)


def measured(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> Normalised:
    """The normalisation of one sample (1, c, D, H, W) by its own statistics."""
    moments = Moments(groups, eps)
    for part in cuts(x):
        moments.add(x[:, :, part])
    return moments.normalised(weight, bias)


class Moments:
    """Mean and variance of the groups of a sample, gathered slab by slab."""

    def __init__(self, groups: int, eps: float) -> None:
        self.groups, self.eps = groups, eps
        self.count, self.first, self.second = 0, 0.0, 0.0

    def add(self, x: Tensor) -> None:
        """Take in a slab (1, c, d, H, W)."""
        channels, voxels = x.shape[1], x[0, 0].numel()
        precision = torch.float64 if x.dtype == torch.float64 else torch.float32
        one = torch.ones(channels, dtype=precision, device=x.device)
        shape = (1, channels, voxels, self.groups, self.eps)
        _, mean, rstd = torch.native_group_norm(x, one, torch.zeros_like(one), *shape)
        mean, rstd = mean.double()[0], rstd.double()[0]
        self.count += voxels
        self.first = self.first + voxels * mean
        self.second = self.second + voxels * (rstd**-2 - self.eps + mean**2)
        self.size, self.precision = channels // self.groups, precision

    def normalised(self, weight: Tensor, bias: Tensor) -> Normalised:
        """What the moments say, with the learned scale and shift."""
        mean = self.first / self.count
        variance = (self.second / self.count - mean**2).clamp(min=0)
        spread = (
            v.repeat_interleave(self.size).to(self.precision) for v in (mean, variance)
        )
        learned = (v.to(self.precision) for v in (weight, bias))
        return Normalised(*spread, *learned, self.groups, self.eps)


class NormSiLU(nn.GroupNorm):
    """silu(GroupNorm(x)), optionally with n ← n (1 + scale) + shift per sample."""

    def forward(
        self, x: Tensor, scale: Tensor | None = None, shift: Tensor | None = None
    ) -> Tensor:
        """x (b, c, D, H, W); scale, shift (b, c)."""
        weight, bias = self.weight.expand(len(x), -1), self.bias.expand(len(x), -1)
        if scale is not None:
            weight, bias = weight * (1 + scale), bias * (1 + scale) + shift
        return _NormSiLU.apply(x, weight, bias, self.num_groups, self.eps)


class _NormSiLU(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias, groups, eps):
        out, norms = torch.empty_like(x), []
        for i, sample in enumerate(x.split(1)):
            norm = measured(sample, groups, weight[i], bias[i], eps)
            for part in cuts(sample):
                out[i : i + 1, :, part] = norm.activate(sample[:, :, part])
            norms.append(norm)
        ctx.save_for_backward(x)
        ctx.norms = norms
        return out

    @staticmethod
    def backward(ctx, grad):
        (x,) = ctx.saved_tensors
        out, learned = torch.empty_like(x), []
        for i, norm in enumerate(ctx.norms):
            sample, sums = slice(i, i + 1), 0.0
            parts = cuts(x[sample])
            for part in parts:
                piece = (sample, slice(None), part)
                out[piece], found = norm.back(grad[piece], x[piece])
                sums = sums + found
            for part in parts:
                piece = (sample, slice(None), part)
                out[piece] = norm.finish(out[piece], x[piece], sums, x[0, 0].numel())
            learned.append(sums)
        weight, bias = torch.stack(learned, 1)
        return out, weight, bias, None, None


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weight + bias per channel."""
    bias = torch.zeros_like(weight) if bias is None else bias
    zero, one = torch.zeros_like(weight), torch.ones_like(weight)
    return F.batch_norm(x, zero, one, weight, bias, False, 0.0, 0.0)
