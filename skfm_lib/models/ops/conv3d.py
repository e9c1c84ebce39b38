"""3³ convolutions, by oneDNN's kernels also where PyTorch 2.13 passes them over.

For a single float32 sample of c·D·H ≤ 20,480 it takes kernels of its own on CPUs, 7
to 28 times as slow (8 to 32 channels, AVX2).  It asks oneDNN for any batch of two;
so such a sample goes as two halves along D.
"""

import torch
from torch import Tensor
from torch.nn import functional as F

FEW = 20_480  # c·D·H; ConvParams::use_mkldnn in PyTorch's Convolution.cpp
ONCE = [1, 1, 1]  # stride and dilation
HALO = 2  # planes along D that a 3³ kernel sees beyond those that it writes


def convolve(
    x: Tensor, weight: Tensor, bias: Tensor | None, padding: tuple[int, int, int]
) -> Tensor:
    """`F.conv3d` with a 3³ kernel and stride 1."""
    if not _passed_over(x):
        return F.conv3d(x, weight, bias, padding=padding)
    depth, *plane = padding
    x = F.pad(x, (0, 0, 0, 0, depth, depth))
    out = F.conv3d(_halves(x, HALO), weight, bias, padding=(0, *plane))
    first, second = out.split(1)
    left = x.shape[2] - HALO - out.shape[2]
    return torch.cat([first, second[:, :, out.shape[2] - left :]], dim=2)


def kernel_gradient(block: Tensor, grad: Tensor, weight: Tensor) -> Tensor:
    """What an output's gradient says about a 3³ kernel, in the weight's shape.

    block  (b, c, D + 2, H, W), which the kernel saw with padding (0, 1, 1)
    grad   (b, k, D, H, W) of what came out
    """
    if _passed_over(block):
        depth, block, grad = grad.shape[2], _halves(block, HALO), _halves(grad, 0)
        grad[1, :, : depth % 2] = 0  # the plane that both halves have counts once
    return torch.ops.aten.convolution_backward(
        grad,
        block,
        weight,
        None,
        ONCE,
        [0, 1, 1],
        ONCE,
        False,
        [0, 0, 0],
        1,
        [False, True, False],
    )[1]


def transposed(weight: Tensor) -> Tensor:
    """The kernel with which the gradient goes back through a 3³ convolution."""
    kernel = weight.flip(2, 3, 4).transpose(0, 1)
    return kernel.contiguous(memory_format=torch.channels_last_3d)


def _passed_over(x: Tensor) -> bool:
    single = x.device.type == "cpu" and x.dtype == torch.float32 and len(x) == 1
    return single and x.shape[1:4].numel() <= FEW


def _halves(x: Tensor, halo: int) -> Tensor:
    """(1, c, D + halo, H, W) → (2, c, ⌈D/2⌉ + halo, H, W); they overlap."""
    seen = -(-(x.shape[2] - halo) // 2) + halo
    return torch.cat([x[:, :, :seen], x[:, :, -seen:]])
