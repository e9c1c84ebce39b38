"""Perceptual distances of reconstructions, by trained networks (paper C.1).

LPIPS (Zhang et al. 2018) compares slices, and its weights have to be downloaded;
offline, the study's own feature network compares volumes.  Neither is trained here.
"""

import re
from pathlib import Path
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skfm_lib.losses.adversarial import some_slices
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.models.pretrained import load_released, read_released

VGG, HEADS = "vgg16-397923af.pth", "vgg.pth"  # the names of the published files
CONTENT = "LPIPS's weights"
SOURCE = (
    f"put {VGG} (download.pytorch.org/models) and {HEADS} (version 0.1, of "
    "github.com/richzhang/PerceptualSimilarity) into one folder"
)
LEVELS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # VGG-16: layers, channels
# ImageNet's colours in [−1, 1], as in LPIPS.
MEAN, SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """The perceptual distance of Zhang et al. (2018), version 0.1 with VGG-16.

    Of slices (b, 1, 1, H, W) in [−1, 1], as volumes of depth 1.  The weights are
    loaded by `load`; `features` has the layers and names of torchvision's VGG-16.
    """

    short, description = "LPIPS", "LPIPS (VGG-16) of random slices"

    def __init__(self) -> None:
        super().__init__()
        self.features, inputs = nn.Sequential(), 3
        for count, channels in LEVELS:
            if self.features:  # between levels
                self.features.append(nn.MaxPool3d((1, 2, 2)))
            for _ in range(count):
                conv = nn.Conv3d(inputs, channels, (1, 3, 3), padding=(0, 1, 1))
                self.features.extend([conv, nn.ReLU()])
                inputs = channels
        self.heads = nn.ParameterList([torch.ones(1, c, 1, 1, 1) for _, c in LEVELS])
        colours = torch.tensor((MEAN, SPREAD)).view(2, 1, 3, 1, 1, 1)
        self.colours = nn.Buffer(colours, persistent=False)
        self.requires_grad_(False)

    def maps(self, slices: Float[Tensor, "b 1 1 H W"]) -> list[Tensor]:
        """The last map of each of VGG-16's five levels."""
        mean, spread = self.colours
        x, found = (slices - mean) / spread, []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool3d):
                found.append(x)
            x = layer(x)
        return [*found, x]

    def forward(self, v: Tensor, v_hat: Tensor, items: Tensor) -> Tensor:
        """Mean distance of slices `items` (b,) along D of (b, 1, D, H, W)."""
        pair = [self.maps(some_slices(volumes, items)) for volumes in (v, v_hat)]
        distances = [apart(a, b, head) for a, b, head in zip(*pair, self.heads)]
        return torch.stack(distances).sum()

    @classmethod
    def load(cls, folder: str | Path) -> "LPIPS":
        """The distance with the published weights, from two files in `folder`.

        ``vgg16-397923af.pth`` is torchvision's VGG-16, ``vgg.pth`` holds the heads.

        Raises:
            SkfmError: if a file is missing or damaged, or holds other weights.
        """
        distance, state = cls(), {}
        found: dict[str, Any] = {}
        for file in (VGG, HEADS):
            found |= read_released(Path(folder) / file, CONTENT, SOURCE)
        for name in distance.state_dict():
            weight = found.get(re.sub(r"heads.(.*)", r"lin\1.model.1.weight", name))
            if isinstance(weight, Tensor):  # kernels of images get an axis of depth
                state[name] = weight.unsqueeze(2) if weight.dim() == 4 else weight
        load_released(distance, state, Path(folder), CONTENT, SOURCE)
        return distance.eval()


class StudyDistance(nn.Module):
    """Distance of volumes in the maps of the study's own feature network.

    The mean over layers and positions of 1 − cos(a, b), half the squared distance of
    unit feature vectors: LPIPS without its learned heads, from 0 to about 1.
    """

    short = "study features"
    description = "the study's own features of whole volumes, in place of LPIPS"

    def __init__(self, network: StudyFeatures) -> None:
        super().__init__()
        self.network = network.requires_grad_(False)

    def forward(self, v: Tensor, v_hat: Tensor, items: Tensor) -> Tensor:
        """Mean distance of volumes (b, 1, D, H, W); `items` are for LPIPS only."""
        pairs = zip(self.network.maps(v), self.network.maps(v_hat))
        return torch.stack([apart(a, b) / 2 for a, b in pairs]).mean()


def apart(a: Tensor, b: Tensor, head: Tensor | float = 1.0) -> Tensor:
    """Mean over positions of ``Σ_c head_c (a_c/|a| − b_c/|b|)²``, of maps (n, c, …)."""
    a, b = (x.float() / (x.float().norm(dim=1, keepdim=True) + 1e-10) for x in (a, b))
    return (head * (a - b).square()).sum(dim=1).mean()
