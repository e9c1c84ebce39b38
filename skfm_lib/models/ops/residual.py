"""The residual block of the VQ-VAE, for maps of any size (paper B.1).

Beside its input and its gradient, a large block holds one map of their size at any
time: activations and normalised copies exist as slabs only, h = conv1(·) is recomputed
in the backward pass, and results overwrite what they were computed from.  For small
maps, h is saved.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skfm_lib.models.ops.conv3d import (
    convolve,
    kernel_gradient,
    map_gradient,
    precision,
    transposed,
)
from skfm_lib.models.ops.group_norm import Moments, Normalised, measured
from skfm_lib.models.ops.recompute import large
from skfm_lib.models.ops.tiling import cuts, with_halo
from skfm_lib.presets import Padding

EPS = 1e-6


class ResidualBlock(nn.Module):
    """x + conv2(silu(norm2(conv1(silu(norm1(x)))))), both 3³."""

    def __init__(self, channels: int, groups: int, padding: Padding) -> None:
        super().__init__()
        self.outside = padding
        self.norm1 = nn.GroupNorm(groups, channels, EPS)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, EPS)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b c D H W"]:
        learned, dtype = list(self.parameters()), precision(x, 3)
        save = torch.is_grad_enabled() and not large(x)
        rest = (self.norm1.num_groups, save, self.outside, *learned)
        with torch.autocast(x.device.type, enabled=False):
            parts = [_Residual.apply(sample.to(dtype), *rest) for sample in x.split(1)]
            return torch.cat(parts) if len(parts) > 1 else parts[0]


class _Residual(torch.autograd.Function):
    """One sample, with h saved or not; learned = γ1, β1, w1, b1, γ2, β2, w2, b2."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        groups: int,
        save: bool,
        padding: Padding,
        *learned: Tensor,
    ) -> Tensor:
        _, _, w1, b1, *_, w2, b2 = _cast(learned, x)
        norm1 = measured(x, groups, learned[0], learned[1], EPS)
        h, norm2 = _first(x, norm1, w1, b1, learned, padding)
        out = torch.empty_like(h) if save else h
        for part, block in with_halo(h, norm2.activate, padding):
            out[:, :, part] = convolve(block, w2, b2).add_(x[:, :, part])
        ctx.save_for_backward(x, h if save else None, *learned)
        ctx.norms, ctx.padding = (norm1, norm2), padding
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, h, *learned = ctx.saved_tensors
        norm1, norm2 = ctx.norms
        _, _, w1, b1, *_, w2, _ = _cast(learned, x)
        save = h is not None
        if not save:
            h, _ = _first(x, norm1, w1, b1, learned, ctx.padding)
        into = torch.empty_like(h) if save else h
        rest = save, ctx.padding
        grad_h, *of_second = _backward(grad, h, norm2, w2, into, *rest)
        grad_x, *of_first = _backward(grad_h, x, norm1, w1, grad_h, *rest)
        return grad_x.add_(grad), None, None, None, *of_first, *of_second


def _first(
    x: Tensor,
    norm: Normalised,
    w: Tensor,
    b: Tensor,
    learned: Sequence[Tensor],
    padding: Padding,
) -> tuple[Tensor, Normalised]:
    """h = conv1(silu(norm1(x))) and the normalisation norm2 by its statistics."""
    h, moments = torch.empty_like(x), Moments(x, norm.groups, EPS)
    for part, block in with_halo(x, norm.activate, padding):
        slab = convolve(block, w, b)
        moments.add(slab)
        h[:, :, part] = slab
    return h, moments.normalised(*learned[4:6])


def _backward(
    grad: Tensor,
    x: Tensor,
    norm: Normalised,
    w: Tensor,
    into: Tensor,
    save: bool,
    padding: Padding,
) -> tuple[Tensor, ...]:
    """(∂x, ∂γ, ∂β, ∂w, ∂b) of conv(silu(norm(x))) from the gradient of its output.

    ∂x is written to `into`, which may be `grad` or `x` itself.  With `save`, slabs of
    ∂n are kept between the two passes, otherwise recomputed.
    """
    kernel, voxels = transposed(w), x[0, 0].numel()
    sums = norm.weight.new_zeros(2, x.shape[1])
    of_kernel = torch.zeros_like(w, dtype=sums.dtype)
    of_bias, saved = sums.new_zeros(len(w)), []
    # ∂x needs the sums over the volume: the first pass finds them, the second writes.
    blocks, given = with_halo(x, norm.activate, padding), (grad, kernel, padding)
    for (part, block), (_, of_a) in zip(blocks, map_gradient(*given, cuts(x))):
        slab = grad[:, :, part]
        of_kernel += kernel_gradient(block, slab, w).to(sums.dtype)
        of_bias += slab.sum((0, 2, 3, 4), dtype=sums.dtype)
        of_n, found = norm.backward(of_a, x[:, :, part])
        sums += found
        if save:
            saved.append(of_n)
    finish = norm.finish(sums, voxels)
    for part, of_n in zip(cuts(x), saved):
        into[:, :, part] = finish(of_n, x[:, :, part])
    for part, of_a in map_gradient(*given, cuts(x)) if not save else ():
        of_n, _ = norm.backward(of_a, x[:, :, part])
        into[:, :, part] = finish(of_n, x[:, :, part])
    return into, *sums, of_kernel, of_bias


def _cast(learned: Sequence[Tensor], x: Tensor) -> list[Tensor]:
    """The convolutions' weights in the precision and layout of the map."""
    layout = torch.channels_last_3d
    return [
        p.to(x.dtype, memory_format=layout) if p.dim() == 5 else p.to(x.dtype)
        for p in learned
    ]
