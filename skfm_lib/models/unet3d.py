"""Stage two: the class-conditional 3D U-Net (paper §3.2, B.2)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.attention import DepthAttention, SpatialLinearAttention
from skfm_lib.models.ops.conv3d import Conv3d
from skfm_lib.models.ops.group_norm import NormSiLU
from skfm_lib.models.ops.padding import pad_to_multiple
from skfm_lib.utils.errors import SkfmError

NORM_GROUPS = 8
OTHERS = 0.3  # of a first convolution that copies its input: share of PyTorch's start
HEIGHT = 10.0  # mm, the unit of embedded heights: their shortest wave is of 63 mm


class Conditioning(nn.Module):
    """(t, quality) → condition (b, 8·width): embeddings of both, concatenated.

    With `leaps`, a zero-initialised embedding of the step size d is added, with
    `field_of_view` one of the heights (begin, end) between which a skull was scanned.
    """

    def __init__(
        self,
        width: int,
        timesteps: int,
        leaps: bool = False,
        field_of_view: bool = False,
    ) -> None:
        super().__init__()
        self.width, self.timesteps = width, timesteps
        self.time = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, 4 * width)
        )
        labels = 1 + len(presets.QUALITY_SCORES)  # the first stands for "no label"
        self.label = nn.Embedding(labels, 4 * width)
        self.leap = _zero_embedding(width) if leaps else None
        self.heights = _zero_embedding(width) if field_of_view else None

    def forward(
        self,
        t: Float[Tensor, " b"],
        quality: Int[Tensor, " b"],
        d: Float[Tensor, " b"] | None = None,
        field_of_view: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "b c"]:
        index = (quality - presets.QUALITY_SCORES[0] + 1).clamp(min=0)
        time = self.time(_waves(self.timesteps * t, self.width))
        condition = torch.cat([time, self.label(index)], dim=1)
        if self.leap is not None and d is not None:
            condition = condition + self.leap(_waves(-torch.log2(d), self.width))
        if self.heights is not None and field_of_view is not None:
            begin, end = (field_of_view / HEIGHT).unbind(1)
            waves = [_waves(z, self.width // 2) for z in (begin, end)]
            condition = condition + self.heights(torch.cat(waves, dim=1))
        return condition


def _waves(x: Float[Tensor, " b"], width: int) -> Float[Tensor, "b {width}"]:
    """Sines and cosines of x at geometric frequencies (Vaswani et al. 2017)."""
    half = torch.arange(width // 2, device=x.device)
    angle = x[:, None] * torch.exp(-math.log(10_000) * half / (width // 2 - 1))
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _zero_embedding(width: int) -> nn.Sequential:
    """(b, width) → (b, 8·width), zero-initialised."""
    last = nn.Linear(4 * width, 8 * width)
    nn.init.zeros_(last.weight)
    nn.init.zeros_(last.bias)
    return nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), last)


class Block(nn.Module):
    """Two 3³ convolutions; the condition scales and shifts after the first norm."""

    def __init__(self, inputs: int, outputs: int, condition: int) -> None:
        super().__init__()
        self.film = nn.Linear(condition, 2 * outputs)
        self.conv1 = Conv3d(inputs, outputs, 3, padding=1)
        self.norm1 = NormSiLU(NORM_GROUPS, outputs)
        self.conv2 = Conv3d(outputs, outputs, 3, padding=1)
        self.norm2 = NormSiLU(NORM_GROUPS, outputs)
        same = inputs == outputs
        self.skip = nn.Identity() if same else Conv3d(inputs, outputs, 1)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        scale, shift = self.film(F.silu(condition)).chunk(2, 1)
        h = self.norm1(self.conv1(x), scale, shift)
        return self.norm2(self.conv2(h)) + self.skip(x)


class Level(nn.Module):
    """Two blocks, attention over H×W, attention along D."""

    def __init__(self, inputs: int, outputs: int, condition: int, heads: int) -> None:
        super().__init__()
        self.block1 = Block(inputs, outputs, condition)
        self.block2 = Block(outputs, outputs, condition)
        self.spatial = SpatialLinearAttention(outputs, heads)
        self.depth = DepthAttention(outputs, heads)

    def forward(self, x: Tensor, condition: Tensor) -> Tensor:
        x = self.block2(self.block1(x, condition), condition)
        return self.depth(self.spatial(x))


class UNet3D(nn.Module):
    """(z_t, t, quality) → velocity or noise, of the shape of z_t.

    Latents are padded with zeros to a multiple of 2^(levels − 1) and cropped again.
    With `leaps`, the network is conditioned on a step size d as well (shortcut models),
    with the setting `field_of_view` on where the scan of the skull begins and ends.
    With the setting `copied`, the first convolution begins as in `_copy_input`.
    """

    def __init__(self, settings: presets.DenoiserConfig, leaps: bool = False) -> None:
        super().__init__()
        width, heads = settings.width, settings.heads
        widths = [width * m for m in settings.multipliers]
        condition = 8 * width
        switches = leaps, settings.field_of_view
        self.condition = Conditioning(width, settings.timesteps, *switches)
        self.first = Conv3d(settings.code_dim, width, 7, padding=3)
        pairs = list(zip([width, *widths], widths))
        self.down = nn.ModuleList(Level(a, b, condition, heads) for a, b in pairs)
        self.downsample = nn.ModuleList(Conv3d(b, b, 4, 2, 1) for b in widths[:-1])
        self.middle = Level(widths[-1], widths[-1], condition, heads)
        pairs.reverse()
        self.up = nn.ModuleList(Level(2 * b, a, condition, heads) for a, b in pairs)
        self.upsample = nn.ModuleList(
            nn.ConvTranspose3d(a, a, 4, 2, 1) for a, _ in pairs[:-1]
        )
        self.last = Block(2 * width, width, condition)
        self.out = Conv3d(width, settings.code_dim, 1)
        if settings.copied:
            _copy_input(self.first)

    def forward(
        self,
        z_t: Float[Tensor, "b k D H W"],
        t: Float[Tensor, " b"] | float,
        quality: Int[Tensor, " b"] | int,
        d: Float[Tensor, " b"] | float | None = None,
        field_of_view: Float[Tensor, "b 2"] | None = None,
    ) -> Float[Tensor, "b k D H W"]:
        """The prediction, in float32.

        Args:
            z_t: noised latents.
            t: time, 0 (data) to 1 (noise).
            quality: quality scores (QS) 2–6, or 0 for "no label".
            d: step size that the velocity is for; only with `leaps`.
            field_of_view: z in the skull frame at which the scan begins and ends, mm;
                only with the setting.

        Raises:
            SkfmError: for other quality scores, for a missing or an unexpected d or
                field of view.
        """
        depth, height, width = z_t.shape[-3:]
        asked = quality.unique().tolist() if torch.is_tensor(quality) else [quality]
        if not {presets.NO_LABEL, *presets.QUALITY_SCORES}.issuperset(asked):
            raise SkfmError(f"quality score {quality}", "2 to 6 (0: no label)")
        if (d is None) != (self.condition.leap is None):
            raise SkfmError(f"step size {d}", "one for a network with leaps, else none")
        t, quality = _per_sample(t, z_t, torch.float32), _per_sample(quality, z_t)
        d = d if d is None else _per_sample(d, z_t, torch.float32)
        if (field_of_view is None) != (self.condition.heights is None):
            found = f"{'no' if field_of_view is None else 'a'} field of view"
            raise SkfmError(found, "one for a network with this condition, else none")
        if field_of_view is not None:
            field_of_view = field_of_view.to(z_t.device)
        condition = self.condition(t, quality, d, field_of_view)
        x = first = self.first(pad_to_multiple(z_t, 2 ** len(self.downsample)))
        skips = []
        for level, downsample in zip(self.down, [*self.downsample, nn.Identity()]):
            skips.append(level(x, condition))
            x = downsample(skips[-1])
        x = self.middle(x, condition)
        for level, upsample in zip(self.up, [*self.upsample, nn.Identity()]):
            x = upsample(level(torch.cat([x, skips.pop()], dim=1), condition))
        x = self.out(self.last(torch.cat([x, first], dim=1), condition))
        return x[..., :depth, :height, :width].float()


@torch.no_grad()
def _copy_input(first: nn.Conv3d) -> None:
    """Let a convolution begin with an orthogonal map of the voxel itself.

    What it has of the other voxels is weak.  PyTorch's own start is a sum over 7³
    voxels, from which a network first has to learn to find the one that it denoises.
    """
    outputs, inputs = first.weight.shape[:2]
    kernel = nn.init.orthogonal_(torch.empty(outputs, inputs))
    x, y, z = (n // 2 for n in first.kernel_size)
    first.weight.mul_(OTHERS)
    first.weight[:, :, x, y, z] += math.sqrt(outputs / inputs) * kernel


def _per_sample(
    value: Tensor | float, z: Tensor, dtype: torch.dtype | None = None
) -> Float[Tensor, " b"] | Int[Tensor, " b"]:
    """A number or a tensor as one value for each sample of z, on its device."""
    return torch.as_tensor(value, dtype=dtype, device=z.device).expand(len(z))
