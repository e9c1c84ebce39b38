"""A small picture of each skull of a data set, for the report."""

from pathlib import Path

import numpy as np

from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.voxels import Grid
from skfm_lib.prepare.bone_segmentation import WALL_SHARE
from skfm_lib.utils.files import replacing

PIXELS = 260
SPACING = 2.0  # mm; finer volumes are thinned to about this
SIDES = ("front", "side")


def picture_path(target: Path) -> Path:
    """Where the picture of ``volumes/NAME`` lies: ``pictures/NAME.png``."""
    return target.parent.with_name("pictures") / f"{target.name}.png"


def draw_skull(target: Path) -> None:
    """Render ``target.nii.gz`` from the front and the side to its picture.

    What is drawn is the volume itself, so that the picture shows what was written.
    """
    from matplotlib.image import imsave

    from skfm_lib.view.meshes import picture, skull_surface

    occupancy, grid = _thinned(*read_volume(target.with_name(f"{target.name}.nii.gz")))
    mesh = skull_surface(occupancy, grid)
    sides = [picture(mesh, grid, side, PIXELS) for side in SIDES]
    with replacing(picture_path(target)) as temporary:
        imsave(temporary, np.hstack(sides))


def _thinned(occupancy: np.ndarray, grid: Grid) -> tuple[np.ndarray, Grid]:
    """Blocks of voxels as one, so that a picture takes a second; thin walls stay."""
    step = max(1, round(SPACING / grid.spacing))
    counts = [n // step for n in grid.shape]
    inner = occupancy[tuple(slice(n * step) for n in counts)]
    blocks = inner.reshape([n for count in counts for n in (count, step)])
    thin = blocks.mean(axis=(1, 3, 5)) >= WALL_SHARE
    shift = grid.spacing * (step - 1) / 2
    origin = tuple(o + shift for o in grid.origin)
    return thin, Grid(thin.shape, step * grid.spacing, origin)
