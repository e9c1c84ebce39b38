"""The offline feature network: a small CNN, trained on the study's own real skulls."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from skfm_lib.models.ops.padding import pad_to_multiple
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError

LONGEST = 128  # voxels of the longest side of a volume that the network sees
BLOCKS = (4, 3, 4)  # coarse blocks along D, H, W, near the grid's aspect ratio
WIDTH = 32 + 64 + 128  # the channels of the three stages
ROUND_OFF = 1e-5  # of a channel's mean and of the usual deviation


class Residual(nn.Module):
    """Two 3³ convolutions with GroupNorm, the first strided, and a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(inputs, outputs, 3, stride, padding=1)
        self.norm1 = nn.GroupNorm(8, outputs)
        self.conv2 = nn.Conv3d(outputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(8, outputs)
        self.shortcut = nn.Conv3d(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        """(n, inputs, D, H, W) → (n, outputs, ⌈D/stride⌉, …)."""
        h = F.silu(self.norm1(self.conv1(x)))
        return F.silu(self.norm2(self.conv2(h)) + self.shortcut(x))


class StudyFeatures(nn.Module):
    """Volumes (n, 1, D, H, W) in [−1, 1] → up to 224 features, and predictions.

    The features are the averages of the maps of all three stages, since early stages
    respond to texture, in units of their standard deviation over the training skulls.
    Channels that carry nothing there are left out (`standardise`).
    Larger volumes than `LONGEST` are `reduced`, at the paper's size by 4.
    """

    description = "study features"

    def __init__(self, corruptions: int = 3) -> None:
        super().__init__()
        self.stem = nn.Conv3d(1, 16, 3, stride=2, padding=1)
        # No stride in the last stage: at a depth of 2, where preset tiny would end,
        # oneDNN's bf16 weight gradient of a 3³ convolution is wrong (torch 2.13).
        self.stages = nn.ModuleList(
            [Residual(16, 32, 2), Residual(32, 64, 2), Residual(64, 128, 1)]
        )
        self.quality = nn.Linear(WIDTH, len(QUALITY_SCORES))
        self.anatomy = nn.Linear(WIDTH, 2 * BLOCKS[0] * BLOCKS[1] * BLOCKS[2])
        self.damage = nn.Linear(WIDTH, corruptions)
        self.mean = nn.Buffer(torch.zeros(WIDTH))
        self.spread = nn.Buffer(torch.ones(WIDTH))  # infinite: carries nothing

    @property
    def dimensions(self) -> int:
        """The number of features: of channels that carry something."""
        return int(self.spread.isfinite().sum())

    def maps(self, v: Float[Tensor, "n 1 D H W"]) -> Iterator[Tensor]:
        """The maps of the three stages, at 1/4, 1/8 and 1/8 of the resolution."""
        x = F.silu(self.stem(reduced(v)))
        for stage in self.stages:
            x = stage(x)
            yield x

    def pooled(self, v: Float[Tensor, "n 1 D H W"]) -> Float[Tensor, "n 224"]:
        """Global averages of the maps, not standardised."""
        return torch.cat([x.float().mean(dim=(2, 3, 4)) for x in self.maps(v)], dim=1)

    def features(self, v: Float[Tensor, "n 1 D H W"]) -> Float[Tensor, "n d"]:
        """The features, standardised on the training skulls."""
        x = (self.pooled(v) - self.mean) / self.spread
        return x[:, self.spread.isfinite()]

    def standardise(self, pooled: Float[Tensor, "n 224"]) -> None:
        """Give features mean 0 and deviation 1 on the skulls that have these averages.

        Channels that vary by round-off only are left out: in units of so small a
        deviation, any other set would be at a distance without meaning.

        Raises:
            SkfmError: where no channel varies.
        """
        spread, mean = pooled.std(dim=0), pooled.mean(dim=0)
        live = spread > ROUND_OFF * (mean.abs() + spread.median())
        if not live.any():
            found = f"{len(pooled)} volumes that are all alike to the feature network"
            raise SkfmError(found, "skulls that differ", "add training skulls")
        self.mean.copy_(mean)
        self.spread.copy_(torch.where(live, spread, torch.inf))

    def forward(self, v: Float[Tensor, "n 1 D H W"]) -> Float[Tensor, "n 5"]:
        """Logits of the quality scores 2 to 6."""
        return self.quality(self.pooled(v))


def reduced(v: Float[Tensor, "n 1 D H W"]) -> Float[Tensor, "n 1 d h w"]:
    """Means over cubes of voxels, so that no side is longer than `LONGEST`."""
    factor = -(-max(v.shape[-3:]) // LONGEST)
    if factor == 1:
        return v
    v = pad_to_multiple(v, factor, -1.0)
    for axis in (-3, -2, -1):  # unlike pooling, with a reproducible gradient on CUDA
        v = v.unflatten(axis, (-1, factor)).mean(axis)
    return v
