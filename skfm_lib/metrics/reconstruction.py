"""Errors of reconstructed volumes and of completed point clouds."""

from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from scipy.ndimage import binary_erosion
from scipy.spatial import cKDTree

from skfm_lib.metrics.distributions import float64
from skfm_lib.utils.errors import SkfmError

Array = torch.Tensor | np.ndarray


def reconstruction_error(v: torch.Tensor, v_hat: torch.Tensor) -> torch.Tensor:
    """Mean absolute error (n,) of `v_hat` against `v` (n, 1, D, H, W) (Table 8).

    Both are on the networks' scale, background −1 and bone +1, so that a fully wrong
    volume scores 2.  A `v_hat` of fewer voxels is first upsampled trilinearly to the
    size of `v` (paper, appendix C.2).  The error of an item with NaN is NaN.

    Raises:
        SkfmError: if `v` is not on that scale or the batches differ.
    """
    low, high = float(v.min()), float(v.max())
    if not (-1 <= low < 0 and high <= 1):
        raise SkfmError(
            f"the reference volume ranges from {low:g} to {high:g}",
            "background −1 and bone +1",
            "map a skull with network_values",
        )
    if v.ndim != 5 or v_hat.shape[:2] != v.shape[:2] or v_hat.ndim != 5:
        raise SkfmError(
            f"shapes {tuple(v.shape)} and {tuple(v_hat.shape)}",
            "two batches (n, 1, D, H, W) of equal n",
        )
    if v_hat.shape != v.shape:
        v_hat = F.interpolate(v_hat.float(), v.shape[2:], mode="trilinear")
    return (v.float() - v_hat.float()).abs().flatten(1).mean(dim=1)


def dice(a: Array, b: Array) -> float:
    """Dice overlap ``2 |a ∩ b| / (|a| + |b|)`` of the bone (> 0) in two volumes.

    1 for two empty volumes, 0 if one is empty.  Raises SkfmError if the shapes differ
    or a volume holds NaN.
    """
    a, b = _bone_pair(a, b)
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 1.0


def surface_distances(a: Array, b: Array, spacing: float) -> tuple[float, float]:
    """Mean and 95th-percentile distance between two bone surfaces (D, H, W), in mm.

    A surface is the set of bone voxels (> 0), `spacing` mm apart, with a face towards
    background or the border.  The mean is over the nearest distances of both directions
    together; the percentile is the larger of both directions, the robust Hausdorff
    distance.

    Raises:
        SkfmError: if the shapes differ or a volume is empty or holds NaN.
    """
    clouds = [_surface(bone.squeeze(), spacing) for bone in _bone_pair(a, b)]
    there, back = _nearest(*clouds), _nearest(*reversed(clouds))
    percentile = max(np.percentile(there, 95), np.percentile(back, 95))
    return float(np.concatenate([there, back]).mean()), float(percentile)


class Chamfer(NamedTuple):
    """Mean nearest-neighbour distances in mm, each () or, for a batch, (batch,)."""

    cd: torch.Tensor
    accuracy: torch.Tensor
    completeness: torch.Tensor


def chamfer(pred: Array, target: Array) -> Chamfer:
    """Chamfer distance of `pred` (…, n, 3) and `target` (…, m, 3), mm, unsquared.

    Accuracy is the mean distance from a predicted point to the nearest target point,
    completeness the mean from a target point to the nearest predicted one, and
    cd = (accuracy + completeness) / 2, consistent with the paper's Tables 5 and 6.  Two
    samplings of one surface are not 0 apart: report that floor beside a result.  Exact,
    in float64, for one pair of clouds or a batch.

    Raises:
        SkfmError: for another shape, an empty cloud, or NaN and infinity.

    >>> chamfer(np.array([[0.0, 0, 0], [3, 4, 0]]), np.zeros((1, 3))).cd.item()
    1.25
    """
    pred, target = _cloud(pred, "pred"), _cloud(target, "target")
    if pred.shape[:-2] != target.shape[:-2]:
        raise SkfmError(
            f"pred {pred.shape} and target {target.shape} differ in batch size",
            "one target for each prediction",
        )
    if pred.ndim == 3:
        singles = [chamfer(p, t) for p, t in zip(pred, target)]
        return Chamfer(*(torch.stack(values) for values in zip(*singles)))
    accuracy = torch.tensor(_nearest(pred, target).mean())
    completeness = torch.tensor(_nearest(target, pred).mean())
    return Chamfer((accuracy + completeness) / 2, accuracy, completeness)


def _nearest(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Distance (n,) of each point of `source` to the nearest of `target`."""
    return np.asarray(cKDTree(target).query(source, workers=-1)[0])


def _surface(bone: np.ndarray, spacing: float) -> np.ndarray:
    if not bone.any():
        raise SkfmError("a volume holds no bone", "a surface to measure from")
    return np.argwhere(bone & ~binary_erosion(bone)) * spacing


def _bone_pair(a: Array, b: Array) -> tuple[np.ndarray, np.ndarray]:
    volumes = torch.as_tensor(a), torch.as_tensor(b)
    if any(v.is_floating_point() and bool(v.isnan().any()) for v in volumes):
        raise SkfmError("a volume holds NaN", "bone above 0, background below")
    first, second = ((v > 0).cpu().numpy() for v in volumes)
    if first.shape != second.shape:
        found = f"volumes of shapes {first.shape} and {second.shape}"
        raise SkfmError(found, "one shape")
    return first, second


def _cloud(points: Array, name: str) -> np.ndarray:
    cloud = float64(points)
    if cloud.ndim not in (2, 3) or cloud.shape[-1] != 3 or cloud.size == 0:
        raise SkfmError(f"{name} has shape {cloud.shape}", "(n, 3) or (batch, n, 3)")
    if not np.isfinite(cloud).all():
        raise SkfmError(f"{name} holds NaN or infinity", "coordinates in mm")
    return cloud
