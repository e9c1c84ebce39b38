"""The study's numbers of voxels: all follow from the paper's output grid."""

import math

Shape = tuple[int, int, int]

PAPER_SHAPE = (456, 352, 512)  # voxels, paper §3.3
PAPER_SPACING = 0.51  # mm, paper §3.3
SCALING = 0.82  # s, input over output edge, paper §3.3
COMPRESSION = 4  # input over latent edge, paper Table 7


def scaled_shape(scale: float) -> Shape:
    """The output grid at scale f: ceil(f · 456×352×512)."""
    return _scale(PAPER_SHAPE, scale)


def input_shape(output_shape: Shape, s: float = SCALING) -> Shape:
    """The grid that the VQ-VAE sees: ceil(s · output), 374×289×420 at full scale."""
    return _scale(output_shape, s)


def latent_shape(shape: Shape, compression: int = COMPRESSION) -> Shape:
    """The latent grid: ceil(input / compression), 94×73×105 at full scale."""
    return _scale(shape, 1 / compression)


def _scale(shape: Shape, factor: float) -> Shape:
    # Rounded first, so that 0.82 · 50 is 41 and not 41.00000000000001.
    d, h, w = (math.ceil(round(n * factor, 6)) for n in shape)
    return d, h, w
