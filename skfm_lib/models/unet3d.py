"""Stage two: the class-conditional 3D U-Net (paper §3.2, B.2)."""

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.attention import DepthAttention, SpatialLinearAttention
from skfm_lib.models.ops.group_norm import NormSiLU
from skfm_lib.models.ops.mixed_precision import Conv3d
from skfm_lib.utils.errors import SkfmError

NORM_GROUPS = 8


class Conditioning(nn.Module):
    """(t, quality) → condition (b, 8·width): embeddings of both, concatenated.

    With `leaps`, an embedding of the step size d is added.  It is zero until it is
    trained, so that a network that never saw d goes on where it was.
    """

    def __init__(self, width: int, timesteps: int, leaps: bool = False) -> None:
        super().__init__()
        self.width, self.timesteps = width, timesteps
        self.time = nn.Sequential(
            nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, 4 * width)
        )
        labels = 1 + len(presets.QUALITY_SCORES)  # the first stands for "no label"
        self.label = nn.Embedding(labels, 4 * width)
        self.leap = _silent(width) if leaps else None

    def forward(
        self,
        t: Float[Tensor, " b"],
        quality: Int[Tensor, " b"],
        d: Float[Tensor, " b"] | None = None,
    ) -> Tensor:
        index = (quality - presets.QUALITY_SCORES[0] + 1).clamp(min=0)
        time = self.time(_waves(self.timesteps * t, self.width))
        condition = torch.cat([time, self.label(index)], dim=1)
        if self.leap is None:
            return condition
        return condition + self.leap(_waves(-torch.log2(d), self.width))


def _waves(x: Float[Tensor, " b"], width: int) -> Float[Tensor, "b width"]:
    """Sines and cosines of x at geometric frequencies (Vaswani et al. 2017)."""
    half = torch.arange(width // 2, device=x.device)
    angle = x[:, None] * torch.exp(-math.log(10_000) * half / (width // 2 - 1))
    return torch.cat([angle.sin(), angle.cos()], dim=1)


def _silent(width: int) -> nn.Sequential:
    """(b, width) → (b, 8·width), zero at first."""
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

    z_t      (b, k, D, H, W) noised latents; padded with zeros to a multiple of
             2^(levels − 1) and cropped again
    t        (b,) or a number in [0, 1]: 0 is data, 1 is noise
    quality  (b,) or a number: QS 2–6, or 0 for "no label"
    d        (b,) or a number: how far the step reaches that the velocity is for, in
             a network with `leaps` (the shortcut model); None in any other
    """

    def __init__(self, settings: presets.DenoiserConfig, leaps: bool = False) -> None:
        super().__init__()
        width, heads = settings.width, settings.heads
        widths = [width * m for m in settings.multipliers]
        condition = 8 * width
        self.condition = Conditioning(width, settings.timesteps, leaps)
        self.first = Conv3d(settings.code_dim, width, 7, padding=3)
        pairs = list(zip([width, *widths], widths))
        self.down = nn.ModuleList(Level(a, b, condition, heads) for a, b in pairs)
        self.downsample = nn.ModuleList(
            Conv3d(b, b, 4, stride=2, padding=1) for b in widths[:-1]
        )
        self.middle = Level(widths[-1], widths[-1], condition, heads)
        self.up = nn.ModuleList(
            Level(2 * b, a, condition, heads) for a, b in reversed(pairs)
        )
        self.upsample = nn.ModuleList(
            nn.ConvTranspose3d(a, a, 4, stride=2, padding=1)
            for a, _ in reversed(pairs[1:])
        )
        self.last = Block(2 * width, width, condition)
        self.out = Conv3d(width, settings.code_dim, 1)

    def forward(
        self,
        z_t: Float[Tensor, "b k D H W"],
        t: Float[Tensor, " b"] | float,
        quality: Int[Tensor, " b"] | int,
        d: Float[Tensor, " b"] | float | None = None,
    ) -> Float[Tensor, "b k D H W"]:
        size = z_t.shape[-3:]
        if (d is None) != (self.condition.leap is None):
            raise SkfmError(f"step size {d}", "one for a network with leaps, else none")
        condition = self.condition(*_per_sample(z_t, t, quality, d))
        x = first = self.first(_pad(z_t, 2 ** len(self.downsample)))
        skips = []
        for i, level in enumerate(self.down):
            x = level(x, condition)
            skips.append(x)
            if i < len(self.downsample):
                x = self.downsample[i](x)
        x = self.middle(x, condition)
        for i, level in enumerate(self.up):
            x = level(torch.cat([x, skips.pop()], dim=1), condition)
            if i < len(self.upsample):
                x = self.upsample[i](x)
        x = self.out(self.last(torch.cat([x, first], dim=1), condition))
        return x[..., : size[0], : size[1], : size[2]].float()


def _per_sample(
    z_t: Tensor, t: Tensor | float, quality: Tensor | int, d: Tensor | float | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """t, quality and d as (b,) tensors on z_t's device; QS outside 0, 2–6 raise."""
    t = torch.as_tensor(t, dtype=torch.float32, device=z_t.device)
    asked = quality.unique().tolist() if torch.is_tensor(quality) else [quality]
    if not {presets.NO_LABEL, *presets.QUALITY_SCORES}.issuperset(asked):
        raise SkfmError(f"quality score {quality}", "2 to 6 (0: no label)")
    quality = torch.as_tensor(quality, device=z_t.device)
    if d is not None:
        d = torch.as_tensor(d, dtype=torch.float32, device=z_t.device).expand(len(z_t))
    return t.expand(len(z_t)), quality.expand(len(z_t)), d


def _pad(z: Tensor, multiple: int) -> Tensor:
    """Zeros behind the far faces, up to a multiple in D, H and W."""
    pad = [side for n in reversed(z.shape[-3:]) for side in (0, -n % multiple)]
    return F.pad(z, pad)
