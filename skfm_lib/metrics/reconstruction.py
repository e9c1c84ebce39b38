"""How near a volume is to the one it should be."""

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from skfm_lib.utils.errors import SkfmError

Volume = torch.Tensor | np.ndarray


def reconstruction_error(v: torch.Tensor, v_hat: torch.Tensor) -> torch.Tensor:
    """Mean absolute error of `v_hat` against `v` (n, 1, D, H, W), as (n,) (Table 8).

    Both on the networks' scale, background −1 and bone +1, so that a fully wrong
    volume scores 2.  A `v_hat` of fewer voxels is first upsampled trilinearly to
    the size of `v`, as in the paper's appendix C.2.  Raises SkfmError where `v`
    is not on that scale or the batches differ.
    """
    low, high = float(v.min()), float(v.max())
    if not (-1 <= low < 0 and high <= 1):
        raise SkfmError(
            f"the reference volume ranges from {low:g} to {high:g}",
            "background −1 and bone +1",
            "map occupancy with 2 * v - 1",
        )
    if v.ndim != 5 or v_hat.shape[:2] != v.shape[:2] or v_hat.ndim != 5:
        raise SkfmError(
            f"shapes {tuple(v.shape)} and {tuple(v_hat.shape)}",
            "two batches (n, 1, D, H, W) of equal n",
        )
    if v_hat.shape != v.shape:
        v_hat = F.interpolate(v_hat.float(), v.shape[2:], mode="trilinear")
    return (v.float() - v_hat.float()).abs().flatten(1).mean(dim=1)


def dice(a: Volume, b: Volume) -> float:
    """Dice overlap 2|a∩b| / (|a|+|b|) of the bone (> 0) in two volumes of one shape.

    1 is identity, 0 no overlap; two empty volumes are identical.  Raises
    SkfmError where the shapes differ.
    """
    a, b = _bone_pair(a, b)
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def surface_distances(a: Volume, b: Volume, spacing: float) -> tuple[float, float]:
    """Mean and 95th-percentile distance between two bone surfaces (D, H, W), in mm.

    The surface is the set of bone voxels (> 0) with a face towards background or
    the border, `spacing` mm apart (``Grid.spacing``).  The mean is taken over the
    nearest distances of both directions together; the percentile is the larger
    of the two directions', the robust Hausdorff distance.  Raises SkfmError where
    the shapes differ or one volume is empty.
    """
    clouds = [_surface(bone.squeeze(), spacing) for bone in _bone_pair(a, b)]
    there = cKDTree(clouds[1]).query(clouds[0], workers=-1)[0]
    back = cKDTree(clouds[0]).query(clouds[1], workers=-1)[0]
    percentile = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(np.concatenate([there, back]).mean()), float(percentile)


def _surface(bone: np.ndarray, spacing: float) -> np.ndarray:
    if not bone.any():
        raise SkfmError("a volume holds no bone", "a surface to measure from")
    return np.argwhere(bone & ~binary_erosion(bone)) * spacing


def _bone_pair(a: Volume, b: Volume) -> tuple[np.ndarray, np.ndarray]:
    a, b = ((torch.as_tensor(v) > 0).cpu().numpy() for v in (a, b))
    if a.shape != b.shape:
        raise SkfmError(f"volumes of shapes {a.shape} and {b.shape}", "one shape")
    return a, b
