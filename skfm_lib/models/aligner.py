"""The network that aligns a skull to its canonical pose (paper E.1)."""

import torch
from torch import Tensor, nn

from skfm_lib import presets
from skfm_lib.models.pointcloud import apply_pose, check_clouds, take, to_rotation
from skfm_lib.models.pointcloud.layers import SCALE, Float32
from skfm_lib.models.pointnet2 import PointNet2, neighbourhoods


class Aligner(nn.Module):
    """(points) → (aligned, rotation, translation), everything in millimetres.

    Clouds are centred at their mean and divided by one constant, so that a partial
    vault and a complete skull keep their sizes.  Stage one estimates a rotation; stage
    two sees the rotated cloud and estimates a finer rotation and the position of the
    cloud's mean.  Initially both rotations are the identity and the mean goes to the
    origin: a centred cloud is returned unchanged.

    As PointNet++ has it, each encoder finds neighbourhoods in the cloud it is given.
    Rotations keep them, so that stage two searches only where the first matrix is used
    as it is ("raw") and may shear.
    """

    def __init__(self, settings: presets.AlignerConfig) -> None:
        super().__init__()
        self.settings = settings
        self.coarse = PointNet2(settings)
        self.fine = self.coarse if settings.shared else PointNet2(settings)
        self.turn = head(self.coarse.width, torch.eye(3))
        self.finer_turn = head(self.fine.width, torch.eye(3))
        self.shift = head(self.fine.width, torch.zeros(3))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """aligned (b, n, 3) = R p + t, with R (b, 3, 3) and t (b, 3).

        R is the product of two matrices, which are rotations unless
        `settings.rotation` is "raw".

        Raises:
            SkfmError: for clouds that are not finite, or of fewer different points
                than the encoder has centres.
        """
        check_clouds(points, self.settings.centres[0])
        points = points.float()
        mean = points.double().mean(1, keepdim=True).float()
        cloud = in_order((points - mean) / SCALE)
        hoods = neighbourhoods(cloud, self.settings)
        first = self._rotation(self.turn, self.coarse(cloud, hoods))
        turned = apply_pose(cloud, first)
        if self.settings.rotation == "raw":
            hoods = neighbourhoods(turned, self.settings)
        features = self.fine(turned, hoods)
        finer = self._rotation(self.finer_turn, features)
        position = SCALE * self.shift(features)
        with torch.autocast(points.device.type, enabled=False):
            rotation = finer @ first
            translation = position - (mean @ rotation.mT)[:, 0]
        return apply_pose(points, rotation, translation), rotation, translation

    def _rotation(self, head: nn.Module, embedding: Tensor) -> Tensor:
        matrix = head(embedding).unflatten(-1, (3, 3))
        return matrix if self.settings.rotation == "raw" else to_rotation(matrix)


def head(width: int, start: Tensor) -> Float32:
    """Two blocks that each divide the width by four, then a linear layer (E.1).

    Its initial output is `start`, for any input.
    """
    half, least = width // 4, width // 16
    last = nn.Linear(least, start.numel())
    nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(start.flatten())
    blocks = [
        layer
        for before, after in ((width, half), (half, least))
        for layer in (nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU())
    ]
    return Float32(*blocks, last)


def in_order(cloud: Tensor) -> Tensor:
    """The centred cloud (b, n, 3) in an order that depends only on the point set.

    Balls are filled in order, so the order must not be the scan's, and must not run
    along the skull.  Points are ranked by their distance from the origin and then
    shuffled by a fixed permutation.
    """
    ranked = cloud.double().square().sum(-1).argsort(1)
    fixed = torch.Generator().manual_seed(0)
    shuffled = torch.randperm(cloud.shape[1], generator=fixed)
    return take(cloud, ranked[:, shuffled.to(cloud.device)])
