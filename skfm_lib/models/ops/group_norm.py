"""Group normalisation and SiLU as one operation that saves only its input.

n = γ (x − μ) / σ + β with μ, σ of each sample and group of channels over the complete
volume, and a = n · sigmoid(n).  Eager PyTorch saves three to four copies of a map,
one of them in float32; here they are recomputed in the backward pass, slab by slab.
Statistics are in float32, in any precision of the maps.
"""

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.tiling import cuts


@dataclass
class Normalised:
    """One sample's normalisation, channel by channel: all vectors have length c.

    Computed by PyTorch's batch norm in inference mode: one multiply-add, in float32.
    """

    mean: Tensor
    variance: Tensor
    weight: Tensor
    bias: Tensor
    groups: int
    eps: float

    def normalise(self, x: Tensor) -> Tensor:
        """n, before the activation."""
        vectors = (self.mean, self.variance, self.weight, self.bias)
        return F.batch_norm(x, *vectors, False, 0.0, self.eps)

    def activate(self, x: Tensor) -> Tensor:
        """a = silu(n)."""
        return F.silu(self.normalise(x), inplace=True)

    def backward(self, grad: Tensor, x: Tensor) -> tuple[Tensor, Tensor]:
        """∂n from ∂a, and the contribution of this slab to the sums (∂γ, ∂β)."""
        grad = torch.ops.aten.silu_backward(grad, self.normalise(x))
        vectors = (self.weight, self.mean, self.variance, None, None)
        rest = (False, self.eps, [False, True, True])
        _, *sums = torch.ops.aten.native_batch_norm_backward(grad, x, *vectors, *rest)
        return grad, torch.stack(sums)

    def finish(self, grad: Tensor, x: Tensor, sums: Tensor, voxels: int) -> Tensor:
        """∂x from ∂n, once the sums over the complete volume are known.

        With x̂ = (x − μ)/σ and means E over a group,
        ∂x = (γ ∂n − E[γ ∂n] − x̂ E[γ ∂n x̂]) / σ: affine in ∂n and in x.
        """
        rstd = (self.variance + self.eps).rsqrt()
        means = (self.weight * sums / voxels).view(2, self.groups, -1).mean(-1)
        with_x, alone = means.repeat_interleave(len(rstd) // self.groups, dim=1)
        slope = -rstd.square() * with_x
        start = -rstd * alone - slope * self.mean
        return _affine(grad, self.weight * rstd, start) + _affine(x, slope)


class Moments:
    """Mean and variance of the groups of a sample like `x`, summed slab by slab."""

    def __init__(self, x: Tensor, groups: int, eps: float) -> None:
        self.groups, self.eps, self.count = groups, eps, 0
        self.dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        self.first = torch.zeros(groups, dtype=torch.float64, device=x.device)
        self.second = torch.zeros_like(self.first)

    def add(self, x: Tensor) -> None:
        """Add a slab (1, c, d, H, W)."""
        if x.stride(1) > 1:  # of a map that is not channels_last
            x = x.contiguous()
        channels, voxels = x.shape[1], x[0, 0].numel()
        one = torch.ones(channels, dtype=self.dtype, device=x.device)
        shape = (1, channels, voxels, self.groups, self.eps)
        _, mean, rstd = torch.native_group_norm(x, one, torch.zeros_like(one), *shape)
        mean, rstd = mean.double()[0], rstd.double()[0]
        self.count += voxels
        self.first += voxels * mean
        self.second += voxels * (rstd**-2 - self.eps + mean**2)

    def normalised(self, weight: Tensor, bias: Tensor) -> Normalised:
        """The normalisation by these moments, with a learned scale and shift."""
        mean = self.first / self.count
        variance = (self.second / self.count - mean**2).clamp(min=0)
        size, dtype = len(weight) // self.groups, self.dtype
        spread = [v.repeat_interleave(size).to(dtype) for v in (mean, variance)]
        mean, variance, weight, bias = *spread, weight.to(dtype), bias.to(dtype)
        return Normalised(mean, variance, weight, bias, self.groups, self.eps)


def measured(
    x: Tensor, groups: int, weight: Tensor, bias: Tensor, eps: float
) -> Normalised:
    """The normalisation of one sample (1, c, D, H, W) by its own statistics."""
    moments = Moments(x, groups, eps)
    for part in cuts(x):
        moments.add(x[:, :, part])
    return moments.normalised(weight, bias)


class NormSiLU(nn.GroupNorm):
    """silu(GroupNorm(x)), optionally with n ← n (1 + scale) + shift per sample."""

    def forward(
        self,
        x: Float[Tensor, "b c D H W"],
        scale: Float[Tensor, "b c"] | None = None,
        shift: Float[Tensor, "b c"] | None = None,
    ) -> Float[Tensor, "b c D H W"]:
        weight, bias = self.weight.expand(len(x), -1), self.bias.expand(len(x), -1)
        if scale is not None and shift is not None:
            weight, bias = weight * (1 + scale), bias * (1 + scale) + shift
        return _NormSiLU.apply(x, weight, bias, self.num_groups, self.eps)


class _NormSiLU(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        out, ctx.norms = torch.empty_like(x), []
        for sample, into, w, b in zip(x.split(1), out.split(1), weight, bias):
            norm = measured(sample, groups, w, b, eps)
            for part in cuts(sample):
                into[:, :, part] = norm.activate(sample[:, :, part])
            ctx.norms.append(norm)
        ctx.save_for_backward(x)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        (x,) = ctx.saved_tensors
        out, learned, voxels = torch.empty_like(x), [], x[0, 0].numel()
        samples = zip(ctx.norms, *(t.split(1) for t in (grad, x, out)))
        for norm, of_sample, sample, into in samples:
            parts, sums = cuts(sample), norm.weight.new_zeros(2, x.shape[1])
            for part in parts:
                slabs = of_sample[:, :, part], sample[:, :, part]
                into[:, :, part], found = norm.backward(*slabs)
                sums += found
            for part in parts:  # normalisation needs the sums over all slabs
                slabs = into[:, :, part], sample[:, :, part]
                into[:, :, part] = norm.finish(*slabs, sums, voxels)
            learned.append(sums)
        weight, bias = torch.stack(learned, 1)
        return out, weight, bias, None, None


def _affine(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """x · weight + bias per channel, in float32 inside."""
    bias = torch.zeros_like(weight) if bias is None else bias
    zero, one = torch.zeros_like(weight), torch.ones_like(weight)
    return F.batch_norm(x, zero, one, weight, bias, False, 0.0, 0.0)
