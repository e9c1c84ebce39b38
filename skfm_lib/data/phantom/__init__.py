"""Procedural skulls: the phantom population of the study.

A skull is an individual (the `Craniometry` of a seed) of one template anatomy, modelled
as distance fields in mm, cropped to the field of view of a quality score, and scanned:
`phantom_ct` is the scan, `phantom_skull` the bone that a threshold leaves of it.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import SimpleITK as sitk
from scipy import ndimage

from skfm_lib.data.bone_fractions import FINEST, as_bytes
from skfm_lib.data.phantom.acquisition import (
    SLAB_POINTS,
    WORKERS,
    acquire,
    between,
)
from skfm_lib.data.phantom.modelling import bones
from skfm_lib.data.phantom.scanner import AIR, FAT, LOWEST, METAL, Scanner, scanner
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.presets.grid_sizes import PAPER_SHAPE, Shape
from skfm_lib.utils.errors import SkfmError

__all__ = ["phantom_ct", "phantom_skull"]

LARGEST = 10.0  # mm; larger voxels are larger than the bone
SPECK = 300.0  # mm³; smaller pieces above the threshold are noise


def phantom_ct(
    seed: int,
    quality: int,
    shape: Shape = PAPER_SHAPE,
    settings: Scanner | None = None,
) -> sitk.Image:
    """The CT scan, HU, of individual `seed`.

    Its pixels are those of ``skull_grid(shape)``, its slices those of the scanner.
    The axes of the image run left, backwards and up; its origin is in the LPS frame of
    DICOM, so that reading it gives the skull in the place of ``phantom_skull``.

    Args:
        seed: of the individual, and of its scan.
        quality: score, 2–6, that states what of the skull the scan shows.
        shape: of the grid; if it is coarser than FINEST, thin walls are too bright.
        settings: of the scanner; by default those of `seed`.

    Raises:
        SkfmError: if `seed` is negative, `quality` is not a quality score, `shape` is
            not three positive numbers, or voxels exceed LARGEST.
    """
    grid = _grid(seed, quality, shape)
    scan = acquire(seed, quality, grid, settings or scanner(seed))
    values = (
        np.rint(scan.values.clip(LOWEST, METAL)).astype(np.int16).transpose(2, 0, 1)
    )
    image = sitk.GetImageFromArray(np.ascontiguousarray(values[:, ::-1, ::-1]))
    x, y, _ = grid.axes()
    step = float(scan.z[1] - scan.z[0])
    image.SetSpacing((grid.spacing, grid.spacing, step))
    image.SetOrigin((-float(x[-1]), -float(y[-1]), float(scan.z[0])))
    return image


def phantom_skull(
    seed: int,
    quality: int,
    shape: Shape = PAPER_SHAPE,
    settings: Scanner | None = None,
) -> np.ndarray:
    """Bone (D, H, W) of individual `seed` on ``skull_grid(shape)``.

    Up to a spacing of FINEST, bits: what the threshold leaves of the scan.  On coarser
    grids the fraction of bone as bytes (255 is 1), from the distance fields: a thin
    wall has at least FLOOR, unless the scanner loses it.  Deterministic in (seed,
    quality); a seed is the same individual in the same pose, and the same scan, at
    every shape and quality.

    Raises:
        SkfmError: if `seed` is negative, `quality` is not a quality score, `shape` is
            not three positive numbers, or voxels exceed LARGEST.

    >>> skull = phantom_skull(seed=7, quality=5, shape=(57, 44, 64))
    >>> skull.shape, skull.dtype
    ((57, 44, 64), dtype('uint8'))
    """
    grid, settings = _grid(seed, quality, shape), settings or scanner(seed)
    if grid.spacing <= FINEST:
        return _thresholded(seed, quality, grid, settings)
    return _fractions(seed, quality, grid, settings)


def _grid(seed: int, quality: int, shape: Shape) -> Grid:
    if seed < 0:
        raise SkfmError(f"seed {seed}", "an integer of at least 0", "pass seed=0")
    if quality not in QUALITY_SCORES:
        raise SkfmError(
            f"quality {quality!r} is not a quality score",
            f"one of {', '.join(map(str, QUALITY_SCORES))}",
            "pass quality=2 … 6 (paper §3.3; QS 1 is not modelled)",
        )
    if len(shape) != 3 or min(shape) < 1:
        found = f"shape {shape}"
        raise SkfmError(found, "numbers of voxels (D, H, W)", f"pass {PAPER_SHAPE}")
    grid = skull_grid(shape)
    if grid.spacing > LARGEST:
        found = f"voxels of {grid.spacing:.1f} mm"
        expected = f"at most {LARGEST:g} mm: larger ones hold no bone"
        raise SkfmError(found, expected, "choose a larger preset or shape")
    return grid


def _thresholded(seed: int, quality: int, grid: Grid, settings: Scanner) -> np.ndarray:
    """What exceeds the threshold in a scan, interpolated to the grid; no specks."""
    scan = acquire(seed, quality, grid, settings)
    weights = between(grid.axes()[2], scan.z)
    bone = np.empty(grid.shape, bool)
    for row, values in zip(bone, scan.values):
        row[:] = values @ weights > settings.threshold
    labels, _ = ndimage.label(bone)
    large = np.bincount(labels.ravel()) * grid.spacing**3 >= SPECK
    large[0] = False
    return large[labels]


def _fractions(seed: int, quality: int, grid: Grid, settings: Scanner) -> np.ndarray:
    """Fractions of bone, bytes, of slabs modelled in turn."""
    x, y, z = grid.axes()
    rows = max(1, min(len(y), SLAB_POINTS // (len(x) * len(z))))
    lost = settings.thinnest(FAT, AIR, slope=0.5)
    volume = np.zeros(grid.shape, np.uint8)

    def fill(start: int) -> None:
        axes = (x, y[start : start + rows], z)
        if (model := bones(seed, quality, axes, grid.spacing, lost)) is not None:
            slab = volume[start : start + rows]
            growth = settings.growth(_steepest(model.field.bone[0]) / grid.spacing)
            fraction = model.field.fraction(growth)
            slab[model.box] = as_bytes(fraction * model.scanned)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fill, range(0, len(y), rows)))
    return volume


def _steepest(field: np.ndarray) -> np.ndarray:
    """The larger of the differences of a field to its two neighbours along z.

    Their mean vanishes in the middle of a thin bone.
    """
    steps = np.pad(np.abs(np.diff(field)), ((0, 0), (0, 0), (1, 1)))
    return np.maximum(steps[..., 1:], steps[..., :-1])
