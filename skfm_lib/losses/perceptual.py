"""How different a reconstruction looks to a trained network (paper C.1).

LPIPS (Zhang et al. 2018) looks at slices, and its weights need a download; offline
the study's own feature network looks at the volumes.  Neither is trained here.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.losses.adversarial import some_slices
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.models.pretrained import read_released
from skfm_lib.utils.errors import SkfmError

VGG, HEADS = "vgg16-397923af.pth", "vgg.pth"  # the files' names where they are shared
SOURCE = (
    f"put {VGG} (download.pytorch.org/models) and {HEADS} (version 0.1, of "
    "github.com/richzhang/PerceptualSimilarity) into one folder"
)
LEVELS = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))  # VGG-16: layers, channels
# ImageNet's colours in [−1, 1], as LPIPS has them.
MEAN, SPREAD = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


class LPIPS(nn.Module):
    """The perceptual distance of Zhang et al. (2018), version 0.1 with VGG-16.

    Between slices (b, 1, 1, H, W) in [−1, 1]; as volumes of depth 1, like all maps
    here.  Its weights come by `load`.
    """

    short, description = "LPIPS", "LPIPS (VGG-16) of random slices"

    def __init__(self) -> None:
        super().__init__()
        widths = [channels for layers, channels in LEVELS for _ in range(layers)]
        kernel, pad = (1, 3, 3), (0, 1, 1)
        self.layers = nn.ModuleList(
            [nn.Conv3d(i, o, kernel, padding=pad) for i, o in zip([3, *widths], widths)]
        )
        self.heads = nn.ParameterList([torch.ones(1, c, 1, 1, 1) for _, c in LEVELS])
        for name, colours in (("mean", MEAN), ("spread", SPREAD)):
            self.register_buffer(name, torch.tensor(colours).view(1, 3, 1, 1, 1))
        self.requires_grad_(False)

    def maps(self, slices: Float[Tensor, "b 1 1 H W"]) -> list[Tensor]:
        """The last map of each of VGG-16's five levels."""
        x, layers, found = (slices - self.mean) / self.spread, iter(self.layers), []
        for level, (count, _) in enumerate(LEVELS):
            x = F.max_pool3d(x, (1, 2, 2)) if level else x
            for _ in range(count):
                x = F.relu(next(layers)(x))
            found.append(x)
        return found

    def forward(self, v: Tensor, v_hat: Tensor, items: Tensor) -> Tensor:
        """Mean distance of slices `items` (b,) along D of (b, 1, D, H, W)."""
        pair = [self.maps(some_slices(volumes, items)) for volumes in (v, v_hat)]
        distances = [apart(*maps, head) for *maps, head in zip(*pair, self.heads)]
        return torch.stack(distances).sum()

    @classmethod
    def load(cls, folder: str | Path) -> "LPIPS":
        """The distance with published weights, from the two files in `folder`.

        ``vgg16-397923af.pth``, torchvision's VGG-16, and ``vgg.pth``, the heads.
        Raises SkfmError for a missing, damaged or other file.
        """
        vgg, heads = (
            read_released(Path(folder) / name, "LPIPS's weights", SOURCE)
            for name in (VGG, HEADS)
        )
        distance = cls()
        for place, layer in zip(_places(), distance.layers):
            for name, weight in layer.named_parameters():
                _fill(weight, vgg, f"features.{place}.{name}", VGG)
        for number, head in enumerate(distance.heads):
            _fill(head, heads, f"lin{number}.model.1.weight", HEADS)
        return distance.eval()


class StudyDistance(nn.Module):
    """Distance of volumes in the maps of the study's own feature network.

    The mean over layers and positions of 1 − cos(a, b), half the squared distance of
    unit feature vectors: LPIPS without its learnt heads, and from 0 to about 1 as it
    is.  The network is one of volumes, so whole ones it is.
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
    """Mean over positions of Σ_c head_c (a_c/|a| − b_c/|b|)², of maps (n, c, …)."""
    a, b = (x.float() / (x.float().norm(dim=1, keepdim=True) + 1e-10) for x in (a, b))
    return (head * (a - b).square()).sum(dim=1).mean()


def _places() -> Iterator[int]:
    """The layers' numbers in torchvision's VGG-16, which counts ReLUs and poolings."""
    place = 0
    for layers, _ in LEVELS:
        yield from range(place, place + 2 * layers, 2)
        place += 2 * layers + 1


def _fill(weight: Tensor, content: dict, name: str, file: str) -> None:
    """Copy `name` of a file into `weight`, which has an axis of depth more."""
    found = content.get(name)
    flat = tuple(weight.squeeze(2).shape) if weight.dim() == 5 else tuple(weight.shape)
    shape = tuple(found.shape) if isinstance(found, Tensor) else None
    if shape != flat:
        raise SkfmError(
            f"{file}: {name} is {shape or 'missing'}", f"shape {flat}", SOURCE
        )
    weight.copy_(found.view_as(weight))
