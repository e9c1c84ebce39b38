"""Convolutions that stay exact, small and fast under mixed precision."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.conv3d import convolve, kernel_gradient, transposed


def precision(x: Tensor, kernel: int) -> torch.dtype:
    """Autocast's, but float32 where a side of x is no longer than the kernel.

    On CPUs, PyTorch 2.13 computes wrong bf16 weight gradients there (3³ at depth 2,
    7³ at depths below 7, …; right in float32).  Such maps are small, so that
    float32 costs next to nothing.
    """
    device = x.device.type
    if not torch.is_autocast_enabled(device):
        return x.dtype
    trained = torch.is_grad_enabled()
    safe = min(x.shape[-3:]) > kernel or kernel == 1 or not trained
    return torch.get_autocast_dtype(device) if safe else torch.float32


class Conv3d(nn.Conv3d):
    """`nn.Conv3d` in a `precision` that is safe for its kernel.

    Padding short sides beforehand is often enough to make them longer than it.
    """

    def forward(self, x: Tensor) -> Tensor:
        longest, pad = max(self.kernel_size), self.padding
        if min(x.shape[-3:]) <= longest and torch.is_grad_enabled():
            x = F.pad(x, [side for n in reversed(pad) for side in (n, n)])
            pad = (0, 0, 0)
        kind = precision(x, longest)
        with torch.autocast(x.device.type, enabled=kind != torch.float32, dtype=kind):
            if self.kernel_size == (3, 3, 3) and self.stride == (1, 1, 1):
                return convolve(x.to(kind), self.weight, self.bias, pad)
            return F.conv3d(x.to(kind), self.weight, self.bias, self.stride, pad)


class Readout(nn.Conv3d):
    """3³ convolution to one channel.

    Its gradients are those of a convolution *from* one channel, with the roles of
    map and gradient exchanged: faster by far than what libraries do with a single
    output, and without a second map of x's size.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, 1, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, D, H, W) → (b, 1, D, H, W)."""
        kind = precision(x, 3)
        with torch.autocast(x.device.type, enabled=False):
            return _Readout.apply(x.to(kind), self.weight.to(kind), self.bias.to(kind))


class _Readout(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, bias):
        ctx.save_for_backward(x, weight)
        return convolve(x, weight, bias, AROUND)

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        kernel = transposed(weight)
        of_x = convolve(grad, kernel, None, AROUND)
        of_weight = transposed(kernel_gradient(F.pad(grad, DEPTH), x, kernel))
        return of_x, of_weight, grad.sum((0, 2, 3, 4))


AROUND = (1, 1, 1)
DEPTH = (0, 0, 0, 0, 1, 1)  # one plane more at both ends of D
