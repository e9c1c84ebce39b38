"""Patch discriminators of slices and of volumes, for the VQ-GAN of Table 8."""

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib.models.ops.conv3d import Conv3d
from skfm_lib.presets.grid_sizes import Shape

KERNEL, PADDING, SLOPE = 4, 2, 0.2  # of Isola et al. 2017, padded as by Khader et al.
MAX_CHANNELS = 512
PATCHES = {1: 16, 2: 34, 3: 70}  # receptive field in voxels, by number of halvings
PAPER_DEPTH = 456  # voxels along D of the paper's grid, for 3 halvings


def halvings(shape: Shape) -> int:
    """The number for which a patch covers the share of the grid as at the paper's size.

    That is 70 of 456 voxels, 36 mm; 1 to 3.
    """
    wanted = PATCHES[3] / PAPER_DEPTH * shape[0]
    return max((n for n, patch in PATCHES.items() if patch <= wanted), default=1)


class Block(nn.Module):
    """A convolution, an optional normalisation and a leaky ReLU.

    The batch normalisation of Khader et al., for their batch of one, is the group
    normalisation here, which does not couple the skulls of a larger batch.
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
    """Scores of overlapping patches: high for skulls, low for reconstructions.

    After Isola et al. (2017), in 3D as by Khader et al. (2023): `halvings` convolutions
    of stride 2, the first of `width` channels, then two of stride 1.  With `flat`
    kernels of depth 1, slices along D are scored independently.
    """

    def __init__(self, halvings: int, width: int, flat: bool = False) -> None:
        super().__init__()
        kernel = (1 if flat else KERNEL, KERNEL, KERNEL)
        padding = (0 if flat else PADDING, PADDING, PADDING)
        widths = [1, *(min(width << n, MAX_CHANNELS) for n in range(halvings + 1)), 1]
        strides = [(1 if flat else n, n, n) for n in [2] * halvings + [1, 1]]
        *inner, self.score = (
            Conv3d(inputs, outputs, kernel, stride, padding)
            for inputs, outputs, stride in zip(widths, widths[1:], strides)
        )
        self.blocks = nn.ModuleList(
            Block(conv, norm=n > 0) for n, conv in enumerate(inner)
        )

    def forward(self, v: Float[Tensor, "b 1 D H W"]) -> list[Tensor]:
        """The feature maps of all layers, and last the scores (b, 1, d, h, w)."""
        maps = [v]
        for block in self.blocks:
            maps.append(block(maps[-1]))
        return [*maps[1:], self.score(maps[-1]).float()]


class Discriminators(nn.Module):
    """A discriminator of volumes and one of slices, as used by Khader et al. (2023).

    `shape` of the volumes sets the `halvings`; the published `width` is 64.
    """

    def __init__(self, shape: Shape, width: int) -> None:
        super().__init__()
        count = halvings(shape)
        self.volumes = PatchDiscriminator(count, width)
        self.slices = PatchDiscriminator(count, width, flat=True)

    def forward(self, v: Tensor, slices: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        """The maps of both: of volumes (b, 1, D, H, W) and slices (b, 1, 1, H, W)."""
        return self.volumes(v), self.slices(slices)
