"""The residual block of the VQ-VAE, for maps of any size (paper B.1).

Beside its input and its gradient, a large block holds one map of the same size at
any time, forward and backward: activations and normalised copies exist as slabs
only, h = conv1(·) is computed again in the backward pass, and each result is
written over what it was made from.  Small maps keep h, which saves a convolution.
"""

import torch
from torch import Tensor, nn

from skfm_lib.models.ops.conv3d import convolve, kernel_gradient, transposed
from skfm_lib.models.ops.group_norm import Moments, Normalised, measured
from skfm_lib.models.ops.mixed_precision import precision
from skfm_lib.models.ops.recompute import large
from skfm_lib.models.ops.tiling import with_halo

EPS = 1e-6
SLAB = (0, 1, 1)  # padding of a slab with its halo: two planes fewer come out


class ResidualBlock(nn.Module):
    """x + conv2(silu(norm2(conv1(silu(norm1(x)))))), both 3³."""

    def __init__(self, channels: int, groups: int) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(groups, channels, EPS)
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm2 = nn.GroupNorm(groups, channels, EPS)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """x (b, c, D, H, W)."""
        learned = list(self.parameters())
        kind = precision(x, 3)
        keep = torch.is_grad_enabled() and not large(x)
        with torch.autocast(x.device.type, enabled=False):
            parts = [
                _Residual.apply(sample.to(kind), self.norm1.num_groups, keep, *learned)
                for sample in x.split(1)
            ]
            return torch.cat(parts) if len(parts) > 1 else parts[0]


class _Residual(torch.autograd.Function):
    """One sample, keeping h or not; learned = γ1, β1, w1, b1, γ2, β2, w2, b2."""

    @staticmethod
    def forward(ctx, x, groups, keep, *learned):
        _, _, w1, b1, *_, w2, b2 = _cast(learned, x)
        norm1 = measured(x, groups, *learned[:2], EPS)
        h, norm2 = _first(x, norm1, w1, b1, groups, learned)
        out = torch.empty_like(h) if keep else h
        for part, block in with_halo(h, norm2.activate):
            out[:, :, part] = convolve(block, w2, b2, SLAB).add_(x[:, :, part])
        ctx.save_for_backward(x, h if keep else None, *learned)
        ctx.norms = norm1, norm2
        return out

    @staticmethod
    def backward(ctx, grad):
        x, h, *learned = ctx.saved_tensors
        norm1, norm2 = ctx.norms
        _, _, w1, b1, *_, w2, _ = _cast(learned, x)
        checkpoint_if = h is None
        if checkpoint_if:
            h, _ = _first(x, norm1, w1, b1, norm1.groups, learned)
        into = h if checkpoint_if else torch.empty_like(h)
        grad_h, of_second = _back(grad, h, norm2, w2, into, checkpoint_if)
        grad_x, of_first = _back(grad_h, x, norm1, w1, grad_h, checkpoint_if)
        return grad_x.add_(grad), None, None, *of_first, *of_second


def _first(
    x: Tensor, norm: Normalised, w: Tensor, b: Tensor, groups: int, learned: list
) -> tuple[Tensor, Normalised]:
    """h = conv1(silu(norm1(x))) and its normalisation, measured on the way."""
    h, moments = torch.empty_like(x), Moments(groups, EPS)
    for part, block in with_halo(x, norm.activate):
        slab = convolve(block, w, b, SLAB)
        moments.add(slab)
        h[:, :, part] = slab
    return h, moments.normalised(*learned[4:6])


def _back(
    grad: Tensor,
    x: Tensor,
    norm: Normalised,
    w: Tensor,
    into: Tensor,
    checkpoint_if: bool,
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """From ∂ of conv(silu(norm(x))) to ∂x, written to `into`, and (∂γ, ∂β, ∂w, ∂b).

    Normalisation passes its gradient only when sums over the volume are known: a
    second loop, on slabs kept from the first or made `checkpoint_if`.  `into` may be `grad`
    or `x` itself.
    """
    kernel, voxels = transposed(w), x[0, 0].numel()
    sums, of_kernel, of_bias, kept = 0.0, 0.0, 0.0, []
    blocks = zip(with_halo(x, norm.activate), with_halo(grad))
    for (part, block), (_, around) in blocks:
        slab = around[:, :, 1:-1]
        of_kernel = of_kernel + kernel_gradient(block, slab, w).to(norm.weight.dtype)
        of_bias = of_bias + slab.sum((0, 2, 3, 4), dtype=norm.weight.dtype)
        inner, found = norm.back(convolve(around, kernel, None, SLAB), x[:, :, part])
        sums = sums + found
        kept += [] if checkpoint_if else [inner]
    for i, (part, around) in enumerate(with_halo(grad)):
        inner = kept[i] if kept else None
        if inner is None:
            inner, _ = norm.back(convolve(around, kernel, None, SLAB), x[:, :, part])
        into[:, :, part] = norm.finish(inner, x[:, :, part], sums, voxels)
    return into, (*sums, of_kernel, of_bias)


def _cast(learned: list[Tensor], x: Tensor) -> list[Tensor]:
    """The convolutions' weights in the precision and layout of the map."""
    layout = torch.channels_last_3d
    return [
        p.to(x.dtype, memory_format=layout) if p.dim() == 5 else p.to(x.dtype)
        for p in learned
    ]
