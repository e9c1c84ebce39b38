"""Plain measures of one skull: its parts, its holes, its size, its teeth."""

import numpy as np
from scipy import ndimage
from skimage.measure import euler_number

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.downsampling import CORNERS, PIECE, check_bone

# Crowns of both dental arches in the skull frame, mm along x, y and z: the arches are
# 50 mm wide and end 86 mm before the ears, the crowns meet 44 mm below them.  The
# lower end is above the lowest border of a QS 5 scan, which would count as relief.
TEETH = ((-36.0, 36.0), (38.0, 95.0), (-48.0, -33.0))


def topology(bone: np.ndarray, grid: Grid) -> dict[str, float]:
    """How the bone hangs together: its Betti numbers, made robust to crumbs.

    parts     of at least PIECE cm³ (one where all are smaller)
    loose     bone outside the largest part, % of all
    tunnels   b₁ = b₀ + b₂ − χ, with the Euler number χ: the orbits, arches and
              foramina, and every hole that should not be there
    cavities  b₂, air without a way out: the sinuses
    """
    check_bone(bone, grid)
    padded = np.pad(bone, 1)
    sizes = _sizes(padded, CORNERS)
    pockets = len(_sizes(~padded, None)) - 1
    euler = euler_number(padded, connectivity=3)
    least = PIECE * 1000 / grid.spacing**3
    return {
        "parts": max(1, int((sizes >= least).sum())),
        "loose": 100 * float(1 - sizes.max() / sizes.sum()),
        "tunnels": len(sizes) + pockets - int(euler),
        "cavities": pockets,
    }


def size(bone: np.ndarray, grid: Grid) -> dict[str, float]:
    """Volume (cm³) and extents (mm) of the bone.

    length, breadth, height: along y, x and z, between the 0.5 % and the 99.5 %
    quantile of the bone, so that a crumb far off changes nothing.
    """
    check_bone(bone, grid)
    extents = {}
    for name, axis in (("length", 0), ("breadth", 1), ("height", 2)):
        others = tuple(a for a in range(3) if a != axis)
        share = np.cumsum(bone.sum(axis=others)) / bone.sum()
        first, last = np.searchsorted(share, (0.005, 0.995))
        extents[name] = float(last - first + 1) * grid.spacing
    return {"volume": float(bone.sum()) * grid.spacing**3 / 1000, **extents}


def tooth_relief(bone: np.ndarray, grid: Grid) -> float:
    """How sharply the dental arches are drawn; 0 where there is no bone (Fig. 4b).

    For every voxel of the box TEETH that sees both bone and air in its 3×3×3
    neighbourhood: the share of unlike voxels there, in the mean.  It is ⅓ on either
    side of a flat wall; blur rounds the edges off and lowers it, and so do crumbs,
    which a little of everything around them sees.
    """
    check_bone(bone, grid)
    x, y, z = grid.axes()
    box = tuple(
        slice(*np.searchsorted(axis, ends))
        for axis, ends in zip((y, x, z), (TEETH[1], TEETH[0], TEETH[2]))
    )
    around = ndimage.uniform_filter(bone.astype(np.float32), 3)[box]
    unlike = np.where(bone[box], 1 - around, around)
    edge = unlike > 0.5 / 27
    return float(unlike[edge].mean()) if edge.any() else 0.0


def _sizes(mask: np.ndarray, structure: np.ndarray | None) -> np.ndarray:
    labels, _ = ndimage.label(mask, structure)
    return np.bincount(labels.ravel())[1:]
