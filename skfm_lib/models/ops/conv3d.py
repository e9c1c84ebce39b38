"""Convolutions that stay exact, small and fast, in float32 and mixed precision.

For a single float32 sample with c·D·H ≤ 20,480, PyTorch 2.13 uses its own CPU kernels,
which are 7 to 28 times as slow as oneDNN's (8 to 32 channels, AVX2); for a batch of two
it uses oneDNN.  Such a sample is therefore convolved as two halves along D.

oneDNN's AVX2 kernel for the gradient of a weight reads a float32 map once per 8×8
channels, from memory unless the map fits the cache: with 32 and 64 channels it takes
twice as long as for a batch of tiles of the same map.  With AVX-512, both take equally
long.
"""

from collections.abc import Iterator
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.padding import folded, replicate
from skfm_lib.models.ops.tiling import cuts, tiles, with_halo
from skfm_lib.presets import Padding
from skfm_lib.utils.device import on_cpu

FEW = 20_480  # c·D·H; ConvParams::use_mkldnn in PyTorch's Convolution.cpp
HALO = 2  # planes along D that a 3³ kernel reads beyond those that it writes
TILE = 1 << 18  # bytes of a tile of a float32 map
UNTILED = 16  # channels up to which tiles are no faster
ONE, NONE = [1, 1, 1], (0, 0, 0)


def precision(x: Tensor, kernel: int) -> torch.dtype:
    """Autocast's dtype, but float32 where a side of x is no longer than the kernel.

    On CPUs, PyTorch 2.13 computes wrong bf16 weight gradients there (3³ at depth 2,
    7³ at depths below 7, …; right in float32).  Such maps are small, so that float32
    costs next to nothing.
    """
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return x.dtype
    trained = torch.is_grad_enabled()
    safe = not on_cpu(x) or min(x.shape[-3:]) > kernel or kernel == 1 or not trained
    return torch.get_autocast_dtype(device) if safe else torch.float32


def convolve(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    padding: tuple[int, int, int] = NONE,
) -> Tensor:
    """`F.conv3d` with a 3³ kernel and stride 1."""
    if not _avoids_onednn(x):
        return F.conv3d(x, weight, bias, padding=padding)
    depth, *plane = padding
    x = F.pad(x, (0, 0, 0, 0, depth, depth))
    out = F.conv3d(_halves(x, HALO), weight, bias, padding=(0, *plane))
    first, second = out.split(1)
    left = x.shape[2] - HALO - out.shape[2]
    return torch.cat([first, second[:, :, out.shape[2] - left :]], dim=2)


def kernel_gradient(block: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """Gradient of a 3³ kernel, from that of the output, (b, k, D, H, W).

    The output is that of the padded `block` (b, c, D + 2, H + 2, W + 2).
    """
    if _avoids_onednn(block):
        depth, block, grad = grad.shape[2], _halves(block, HALO), _halves(grad, 0)
        grad[1, :, : depth % 2] = 0  # count the plane that both halves hold once
    elif _exceeds_cache(block, grad):
        edge = round((TILE / grad[0, :, 0, 0, 0].nbytes) ** (1 / 3))
        lengths = [-(-n // max(1, round(n / edge))) for n in grad.shape[2:]]
        block, grad = tiles(block, lengths, HALO), tiles(grad, lengths)
    # Unlike torch.nn.grad.conv3d_weight, this considers the layout of the weight.
    rest = (False, [0, 0, 0], 1, [False, True, False])  # the gradient of the weight
    _, gradient, _ = torch.ops.aten.convolution_backward(
        grad, block, weight, None, ONE, [0, 0, 0], ONE, *rest
    )
    return gradient


def map_gradient(
    grad: Tensor, kernel: Tensor, padding: Padding, parts: list[slice]
) -> Iterator[tuple[slice, Tensor]]:
    """Slabs (`parts`) of a padded map's gradient, from that of its 3³ convolution.

    `kernel` is the `transposed` one.  A slab of `grad` may be overwritten once its
    own slab was yielded.
    """
    reach = 2 if padding == "replicate" else 1
    for part, around in with_halo(grad, outside=reach, parts=parts):
        slab = convolve(around, kernel)
        if padding == "replicate":
            slab = folded(slab, part.start == 0, part.stop == grad.shape[2])
        yield part, slab


def transposed(weight: Tensor) -> Tensor:
    """The kernel by which a gradient passes back through a 3³ convolution."""
    kernel = weight.flip(2, 3, 4).transpose(0, 1)
    return kernel.contiguous(memory_format=torch.channels_last_3d)


def _avoids_onednn(x: Tensor) -> bool:
    single = on_cpu(x) and x.dtype == torch.float32 and len(x) == 1
    return single and x.shape[1:4].numel() <= FEW


def _exceeds_cache(block: Tensor, grad: Tensor) -> bool:
    wide = min(block.shape[1], grad.shape[1]) > UNTILED
    large = grad[0].numel() * grad.element_size() > 4 * TILE
    return on_cpu(grad) and grad.dtype == torch.float32 and wide and large


def _halves(x: Tensor, halo: int) -> Tensor:
    """(1, c, D + halo, H, W) → (2, c, ⌈D/2⌉ + halo, H, W); they overlap."""
    length = -(-(x.shape[2] - halo) // 2) + halo
    return torch.cat([x[:, :, :length], x[:, :, -length:]])


class Conv3d(nn.Conv3d):
    """`nn.Conv3d` in a `precision` that is safe for its kernel.

    Short sides are padded beforehand, which often makes them long enough.  The
    ``padding_mode`` is "zeros" or, where one voxel is padded, "replicate".
    """

    padding: tuple[int, int, int]

    def forward(self, x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b k d h w"]:
        longest, pad = max(self.kernel_size), self.padding
        short = on_cpu(x) and min(x.shape[-3:]) <= longest
        if self.padding_mode == "replicate":
            x, pad = replicate(x), NONE
        elif short and torch.is_grad_enabled():
            x = F.pad(x, [side for n in reversed(pad) for side in (n, n)])
            pad = NONE
        dtype = precision(x, longest)
        with torch.autocast(x.device.type, enabled=dtype.itemsize < 4, dtype=dtype):
            if self.kernel_size == (3, 3, 3) and self.stride == (1, 1, 1):
                return convolve(x.to(dtype), self.weight, self.bias, pad)
            return F.conv3d(x.to(dtype), self.weight, self.bias, self.stride, pad)


class Doubling(nn.ConvTranspose3d):
    """Transposed 4³ convolution of stride 2: (b, c, D, H, W) → (b, k, 2D, 2H, 2W).

    An output voxel is a sum over 2³ voxels of the input, which is padded by one.
    """

    bias: nn.Parameter

    def __init__(self, inputs: int, outputs: int, padding: Padding) -> None:
        super().__init__(inputs, outputs, 4, stride=2, padding=1)
        self.outside = padding

    def forward(  # type: ignore[override]
        self, x: Float[Tensor, "b c D H W"]
    ) -> Float[Tensor, "b k d h w"]:
        if self.outside == "zeros":
            return super().forward(x)
        dtype = precision(x, 4)
        with torch.autocast(x.device.type, enabled=False):
            learned = self.weight.to(dtype), self.bias.to(dtype)
            return _Doubling.apply(x.to(dtype), *learned)


class _Doubling(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv_transpose3d(replicate(x), weight, bias, stride=2, padding=3)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        x, weight = ctx.saved_tensors
        # As if of all voxels: with a padding of 3, oneDNN's gradient of the weight
        # takes five times as long.
        grad = F.pad(grad, (2,) * 6)
        rest = ([2, 2, 2], ONE, ONE, True, [0, 0, 0], 1, [True, True, True])
        of_x, *of_learned = torch.ops.aten.convolution_backward(
            grad, replicate(x), weight, [weight.shape[1]], *rest
        )
        return folded(of_x), *of_learned


class Readout(nn.Conv3d):
    """3³ convolution to one channel.

    On a CPU by slabs, and its gradients are those of a convolution *from* one channel,
    with map and gradient exchanged: much faster than the libraries' kernels for a
    single output, and without a second map of x's size.
    """

    bias: nn.Parameter

    def __init__(self, channels: int, padding: Padding) -> None:
        super().__init__(channels, 1, 3, padding=1)
        self.outside = padding

    def forward(self, x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b 1 D H W"]:
        if not on_cpu(x):
            if self.outside == "zeros":
                return super().forward(x)
            return F.conv3d(replicate(x), self.weight, self.bias)
        dtype = precision(x, 3)
        with torch.autocast(x.device.type, enabled=False):
            learned = self.weight.to(dtype), self.bias.to(dtype)
            return _Readout.apply(x.to(dtype), *learned, self.outside)


class _Readout(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, padding: Padding
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.padding = padding
        out = x.new_empty(len(x), 1, *x.shape[2:])
        for part, block in with_halo(x, padding=padding):
            out[:, :, part] = convolve(block, weight, bias)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        kernel, of_x = transposed(weight), torch.empty_like(x)
        wide = torch.promote_types(kernel.dtype, torch.float32)
        of_kernel = torch.zeros_like(kernel, dtype=wide)
        for part, slab in map_gradient(grad, kernel, ctx.padding, cuts(x)):
            of_x[:, :, part] = slab
        for part, block in with_halo(x, padding=ctx.padding):
            around = F.pad(grad[:, :, part], (2,) * 6)
            of_kernel += kernel_gradient(around, block, kernel).to(wide)
        of_weight = transposed(of_kernel).to(weight.dtype)
        return of_x, of_weight, grad.sum((0, 2, 3, 4)), None
