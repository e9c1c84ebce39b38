"""What the networks on point clouds share: one scale, and layers exact in places."""

import torch
from torch import Tensor, nn

SCALE = 140.0  # mm; half the height of a skull, so that clouds fill the unit sphere


class Float32(nn.Sequential):
    """Layers that read or write places: in bf16 a skull's points move by 0.3 mm."""

    def forward(self, x: Tensor) -> Tensor:
        """In float32, under autocast too."""
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())
