"""Shared by the networks on point clouds: the scale, and float32 layers."""

import torch
from torch import Tensor, nn

SCALE = 140.0  # mm; half the height of a skull, so that clouds fill the unit sphere


class Float32(nn.Sequential):
    """Layers in float32, under autocast too; bf16 coordinates are off by 0.3 mm."""

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())
