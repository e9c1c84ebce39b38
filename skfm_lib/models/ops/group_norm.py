"""Group normalisation and SiLU as one operation that saves only its input.

n = γ (x − μ) / σ + β with μ, σ of each sample and group of channels over the complete
volume, and a = n · sigmoid(n).  Eager PyTorch saves three to four copies of a map,
one of them in float32; here they are recomputed in the backward pass, slab by slab.
Statistics are in float32, in any precision of the maps.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.tiling import cuts
from skfm_lib.utils.device import on_cpu, sizes


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

    def finish(self, sums: Tensor, voxels: int) -> Callable[[Tensor, Tensor], Tensor]:
        """The function (∂n, x) → ∂x of slabs, once the sums over all are known.

        With x̂ = (x − μ)/σ and means E over a group,
        ∂x = (γ ∂n − E[γ ∂n] − x̂ E[γ ∂n x̂]) / σ: affine in ∂n and in x.
        """
        rstd = (self.variance + self.eps).rsqrt()
        means = (self.weight * sums / voxels).view(2, self.groups, -1).mean(-1)
        with_x, alone = means.repeat_interleave(len(rstd) // self.groups, dim=1)
        slope = -rstd.square() * with_x
        start = -rstd * alone - slope * self.mean
        zero, one = torch.zeros_like(rstd), torch.ones_like(rstd)
        scale = self.weight * rstd

        def affine(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
            """x · weight + bias per channel, in float32 inside."""
            return F.batch_norm(x, zero, one, weight, bias, False, 0.0, 0.0)

        return lambda grad, x: affine(grad, scale, start) + affine(x, slope, zero)


class Moments:
    """Mean and variance of the groups of a sample like `x`, summed slab by slab."""

    def __init__(self, x: Tensor, groups: int, eps: float) -> None:
        self.groups, self.eps = groups, eps
        self.dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        self.voxels: list[int] = []
        self.slabs: list[Tensor] = []  # mean and 1/σ of each, by group or by channel

    def add(self, x: Tensor) -> None:
        """Add a slab (1, c, d, H, W)."""
        found = (self._of_groups if on_cpu(x) else self._of_channels)(x)
        self.slabs.append(torch.stack(found))
        self.voxels.append(x[0, 0].numel())

    def _of_groups(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """By group norm itself."""
        if x.stride(1) > 1:  # of a map that is not channels_last
            x = x.contiguous()
        channels, voxels = x.shape[1], x[0, 0].numel()
        one = torch.ones(channels, dtype=self.dtype, device=x.device)
        shape = (1, channels, voxels, self.groups, self.eps)
        _, mean, rstd = torch.native_group_norm(x, one, torch.zeros_like(one), *shape)
        return mean[0], rstd[0]

    def _of_channels(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """By batch norm, in one pass of CUDA.

        CUDA's group norm has no kernel for bf16 maps with float32 weights, and copies
        ``channels_last`` maps.
        """
        if x.device.type != "cpu":
            mean, rstd = torch.batch_norm_stats(x, self.eps)
            return mean, rstd
        # A GPU's work, planned or tested: batch_norm_stats is for CUDA only.
        variance, mean = torch.var_mean(x.to(self.dtype), (0, 2, 3, 4), correction=0)
        return mean, (variance + self.eps).rsqrt()

    def normalised(self, weight: Tensor, bias: Tensor) -> Normalised:
        """The normalisation by these moments, with a learned scale and shift."""
        mean, rstd = torch.stack(self.slabs, 1).double()
        pairs = torch.stack([mean, rstd**-2 - self.eps + mean**2], 1)
        total = sum(self.voxels)
        moments = pairs[0] * (self.voxels[0] / total)
        for pair, voxels in zip(pairs[1:], self.voxels[1:]):
            moments.add_(pair, alpha=voxels / total)
        mean, square = moments.view(2, self.groups, -1).mean(-1)
        variance = (square - mean**2).clamp(min=0)
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
        small = on_cpu(x) and x.numel() * x.element_size() <= sizes(x).slab
        given = x, weight, bias, self.num_groups, self.eps
        return _Small.apply(*given) if small else _NormSiLU.apply(*given)


class _Small(torch.autograd.Function):
    """A batch of small maps at once: their time is that of calls, not of voxels."""

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, groups: int, eps: float
    ) -> Tensor:
        b, channels = x.shape[:2]
        dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
        ones = torch.ones(channels, dtype=dtype)
        counts = b, channels, x[0, 0].numel(), groups
        dense = x if x.stride(1) == 1 else x.contiguous()
        given = dense, ones, torch.zeros_like(ones), *counts, eps
        _, *found = torch.native_group_norm(*given)
        mean, rstd = (v.repeat_interleave(channels // groups, 1) for v in found)
        ctx.save_for_backward(x, mean, rstd, weight, bias)
        ctx.groups, ctx.dtype = groups, dtype
        scale = weight * rstd
        n = torch.addcmul(_each(bias - scale * mean), x.to(dtype), _each(scale))
        return F.silu(n, inplace=True).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        """As `Normalised.backward` and `Normalised.finish`, of all samples."""
        x, mean, rstd, weight, bias = ctx.saved_tensors
        scale, wide = weight * rstd, x.to(ctx.dtype)
        n = torch.addcmul(_each(bias - scale * mean), wide, _each(scale))
        of_n = torch.ops.aten.silu_backward(grad.to(ctx.dtype), n)
        of_bias, with_x = (v.sum((2, 3, 4)) for v in (of_n, of_n * wide))
        of_weight = (with_x - mean * of_bias) * rstd
        slope = -rstd.square() * _of_groups(weight * of_weight, x, ctx.groups)
        start = -rstd * _of_groups(weight * of_bias, x, ctx.groups) - slope * mean
        of_x = torch.addcmul(_each(start), wide, _each(slope))
        of_x = of_x.addcmul_(of_n, _each(scale))
        return of_x.to(x.dtype), of_weight, of_bias, None, None


def _each(vectors: Tensor) -> Tensor:
    """(b, c) for maps (b, c, D, H, W)."""
    return vectors[:, :, None, None, None]


def _of_groups(sums: Tensor, x: Tensor, groups: int) -> Tensor:
    """(b, c): means over the voxels and channels of each group, from sums (b, c)."""
    means = (sums / x[0, 0].numel()).unflatten(1, (groups, -1)).mean(-1)
    return means.repeat_interleave(x.shape[1] // groups, 1)


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
            finish = norm.finish(sums, voxels)  # needs the sums over all slabs
            for part in parts:
                into[:, :, part] = finish(into[:, :, part], sample[:, :, part])
            learned.append(sums)
        weight, bias = torch.stack(learned, 1)
        return out, weight, bias, None, None
