"""Layers that stay exact under mixed precision."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class GroupNorm(nn.GroupNorm):
    """`nn.GroupNorm` computed in float32 and returned in the input's precision.

    Under bf16 autocast the statistics of a large volume would lose digits, and
    PyTorch's bf16 backward pass takes seven times as long on a CPU.
    """

    def forward(self, x: Tensor) -> Tensor:
        h = F.group_norm(x.float(), self.num_groups, self.weight, self.bias, self.eps)
        return h.to(x.dtype)


class Conv3d(nn.Conv3d):
    """`nn.Conv3d`, in float32 where a side is no longer than the kernel.

    On CPUs, PyTorch 2.13 computes wrong bf16 weight gradients there (3³ at depth 2,
    7³ at depths below 7, …; right in float32).  Such maps are small, so that
    float32 costs next to nothing.
    """

    def forward(self, x: Tensor) -> Tensor:
        if min(x.shape[-3:]) > max(self.kernel_size) or max(self.kernel_size) == 1:
            return super().forward(x)
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())
