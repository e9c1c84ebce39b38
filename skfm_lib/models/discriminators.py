"""Patch discriminators of slices and of volumes, for the VQ-GAN of Table 8."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.mixed_precision import Conv3d
from skfm_lib.presets.grid_sizes import Shape

KERNEL, PADDING, SLOPE = 4, 2, 0.2  # of Isola et al. 2017, padded as by Khader et al.
MOST = 512  # channels
PATCH, GRID = 70, 456  # voxels that a verdict sees, of those of the paper's grid
HALVINGS = 3  # at that grid


def patch(halvings: int) -> int:
    """Voxels along an axis that one verdict of a discriminator looks at.

    Two convolutions at the coarsest resolution, `halvings` with stride 2 before:
    16, 34 and 70 voxels for 1, 2 and 3 halvings.
    """
    seen = 1
    for stride in (1, 1, *[2] * halvings):
        seen = stride * (seen - 1) + KERNEL
    return seen


def halvings(shape: Shape) -> int:
    """As many as let a patch be the same share of the grid as at the paper's size.

    That is 70 of 456 voxels, 36 mm; 1 to 3.
    """
    wanted = PATCH / GRID * shape[0]
    return max(n for n in range(1, HALVINGS + 1) if n == 1 or patch(n) <= wanted)


class Block(nn.Module):
    """A convolution, normalised or not, and a leaky ReLU.

    Khader et al. normalise by the batch; for their batch of one, that is the group
    normalisation here, which does not couple skulls in larger ones.
    """

    def __init__(self, conv: Conv3d, norm: bool) -> None:
        super().__init__()
        channels = conv.out_channels
        self.conv = conv
        self.norm = nn.GroupNorm(channels, channels) if norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(b, c, D, H, W) → (b, c', D', H', W')."""
        return F.leaky_relu(self.norm(self.conv(x)), SLOPE)


class PatchDiscriminator(nn.Module):
    """A verdict on every patch: skull (high) or reconstruction (low).

    (b, 1, D, H, W) → the maps of all layers, the verdicts (b, 1, d, h, w) last
    (Isola et al. 2017; in 3D as Khader et al. 2023).  With `flat` kernels of depth 1
    it judges slices: D is then one slice or several that know nothing of each other.
    """

    def __init__(self, halvings: int, width: int, flat: bool = False) -> None:
        super().__init__()
        depth, self.flat = 1 if flat else KERNEL, flat
        widths = [1, *(min(width << n, MOST) for n in range(halvings + 1)), 1]
        strides = [2] * halvings + [1, 1]
        convolutions = [
            Conv3d(
                inputs,
                outputs,
                (depth, KERNEL, KERNEL),
                (1 if flat else stride, stride, stride),
                (0 if flat else PADDING, PADDING, PADDING),
            )
            for inputs, outputs, stride in zip(widths, widths[1:], strides)
        ]
        *inner, self.verdict = convolutions
        self.blocks = nn.ModuleList(
            [Block(conv, norm=n > 0) for n, conv in enumerate(inner)]
        )

    def forward(self, v: Float[Tensor, "b 1 D H W"]) -> list[Tensor]:
        """The maps of every layer; the last are the verdicts."""
        maps = [v]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return [*maps[1:], self.verdict(maps[-1]).float()]


class Discriminators(nn.Module):
    """One of volumes and one of slices, as Khader et al. (2023) have them.

    shape  of the volumes; sets how many halvings (`halvings`)
    width  channels of the first layer; 64 as published
    """

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        count = halvings(shape)
        self.volumes = PatchDiscriminator(count, width)
        self.slices = PatchDiscriminator(count, width, flat=True)

    def forward(self, v: Tensor, slices: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The maps of both: of volumes (b, 1, D, H, W) and slices (b, 1, 1, H, W)."""
        return self.volumes(v), self.slices(slices)
