"""The network that brings a skull into its canonical pose (paper E.1)."""

import torch
from torch import Tensor, nn

from skfm_lib import presets
from skfm_lib.models.pointcloud import apply_pose, check_clouds, take, to_rotation
from skfm_lib.models.pointcloud.layers import SCALE, Float32
from skfm_lib.models.pointnet2 import PointNet2, neighbourhoods
from skfm_lib.utils.errors import SkfmError

CHOICES = {"skip": ("add", "concat"), "rotation": ("raw", "svd")}


class Aligner(nn.Module):
    """(points) → (aligned, rotation, translation), everything in millimetres.

    Clouds are moved to their mean and divided by one constant, so that a vault and a
    whole skull keep their sizes.  Stage one estimates a rotation; stage two sees the
    rotated cloud and estimates a finer one and the place of the cloud's mean.  Before
    training both rotations are the identity and the mean goes to the origin: a
    centred cloud is returned as it is.
    """

    def __init__(self, settings: presets.AlignerConfig) -> None:
        super().__init__()
        for name, known in CHOICES.items():
            if getattr(settings, name) not in known:
                found = f"{name} {getattr(settings, name)!r}"
                raise SkfmError(found, " or ".join(known))
        self.settings = settings
        self.coarse = PointNet2(settings)
        self.fine = self.coarse if settings.shared else PointNet2(settings)
        self.turn = head(self.coarse.width, torch.eye(3))
        self.finer_turn = head(self.fine.width, torch.eye(3))
        self.shift = head(self.fine.width, torch.zeros(3))

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """aligned (b, n, 3) = R p + t, with R (b, 3, 3) and t (b, 3).

        R is the product of two matrices as the heads give them, or of two rotations,
        as settings.rotation says.  Raises SkfmError for clouds that are empty, not
        finite or of fewer different points than the encoder has centres.
        """
        check_clouds(points, self.settings.centres[0])
        points = points.float()
        mean = points.double().mean(1, keepdim=True).float()
        cloud = in_order((points - mean) / SCALE)
        hoods = neighbourhoods(cloud, self.settings)
        first = self._rotation(self.turn, self.coarse(cloud, hoods))
        seen = self.fine(apply_pose(cloud, first), hoods)
        finer, place = self._rotation(self.finer_turn, seen), SCALE * self.shift(seen)
        with torch.autocast(points.device.type, enabled=False):
            rotation = finer @ first
            translation = place - (mean @ rotation.mT)[:, 0]
        return apply_pose(points, rotation, translation), rotation, translation

    def _rotation(self, head: nn.Module, embedding: Tensor) -> Tensor:
        """The matrix (b, 3, 3) that a head gives."""
        matrix = head(embedding).unflatten(-1, (3, 3))
        return matrix if self.settings.rotation == "raw" else to_rotation(matrix)


def head(width: int, start: Tensor) -> Float32:
    """Two blocks that each divide the width by four, then a linear layer (E.1).

    Before training it gives `start`, whatever it sees.
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
    """The cloud (b, n, 3), centred, in an order that hangs on nothing but itself.

    Balls take their first points in order; so the order must be neither the scan's
    nor one that runs along the skull.  Points are ranked by their distance from the
    origin and then shuffled, always alike.
    """
    ranked = cloud.double().square().sum(-1).argsort(1)
    same = torch.Generator().manual_seed(0)
    shuffled = torch.randperm(cloud.shape[1], generator=same)
    return take(cloud, ranked[:, shuffled.to(cloud.device)])
