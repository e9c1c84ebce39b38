"""How well an implant fills a defect, by the definitions of the AutoImplant challenge.

Of the organisers' script (github.com/MWod/AutoImplant_2021, ``evaluation_metrics.py``);
there, distances are in voxels unless the spacing is passed.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skfm_lib.metrics.reconstruction import dice
from skfm_lib.utils.errors import SkfmError

BORDER = 10.0  # mm from the defective skull that the border Dice counts


class ImplantScores(NamedTuple):
    """An implant compared with the bone that was removed.

    Attributes:
        dsc: Dice overlap of the two.
        border_dsc: the same of their voxels within BORDER of the defective skull.
        hd95: 95th percentile of the distances between their surfaces, mm: of both
            directions together, not the larger of two percentiles.
    """

    dsc: float
    border_dsc: float
    hd95: float


def implant_scores(
    implant: np.ndarray, truth: np.ndarray, defective: np.ndarray, spacing: float
) -> ImplantScores:
    """Scores of an implant, given with the truth and the skull as bool (D, H, W).

    A surface is what an erosion by the six neighbours removes.  Distances are those of
    voxel centres, `spacing` mm apart.

    Raises:
        SkfmError: for another type or shape, an empty mask, and where no voxel of
            either implant lies within BORDER of the skull.

    >>> skull = np.ones((9, 9, 9), bool)
    >>> skull[2:5, 2:5, 2:5] = False
    >>> truth = ~skull
    >>> implant_scores(truth, truth, skull, 1.0)
    ImplantScores(dsc=1.0, border_dsc=1.0, hd95=0.0)
    """
    masks = {"implant": implant, "truth": truth, "defective skull": defective}
    for name, mask in masks.items():
        if mask.dtype != bool or mask.shape != truth.shape or mask.ndim != 3:
            found = f"{name}: {mask.dtype} {mask.shape}, truth {truth.shape}"
            raise SkfmError(found, "bool (D, H, W) of one shape")
        if not mask.any():
            raise SkfmError(f"the {name} is empty", "a mask with voxels")
    box = _box(implant | truth, int(np.ceil(BORDER / spacing)) + 1)
    implant, truth, defective = implant[box], truth[box], defective[box]
    near = _distance_to(defective, spacing) <= BORDER
    if not ((implant | truth) & near).any():
        raise SkfmError(f"no implant within {BORDER:g} mm of the skull", "a border")
    return ImplantScores(
        dice(implant, truth),
        dice(implant & near, truth & near),
        _percentile(implant, truth, spacing),
    )


def _box(mask: np.ndarray, margin: int) -> tuple[slice, ...]:
    """The part of a volume that holds a mask, and a margin of voxels around it."""
    (box,) = ndimage.find_objects(mask.astype(np.uint8))
    return tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in box)


def _distance_to(mask: np.ndarray, spacing: float) -> np.ndarray:
    """Distance of each voxel to the nearest one of a mask, mm; infinite if empty."""
    if not mask.any():  # there, SciPy's transform has arbitrary values
        return np.full(mask.shape, np.inf)
    return ndimage.distance_transform_edt(~mask, sampling=spacing)


def _percentile(a: np.ndarray, b: np.ndarray, spacing: float) -> float:
    first, second = (m & ~ndimage.binary_erosion(m) for m in (a, b))
    there = _distance_to(second, spacing)[first]
    back = _distance_to(first, spacing)[second]
    return float(np.percentile(np.concatenate([there, back]), 95))
