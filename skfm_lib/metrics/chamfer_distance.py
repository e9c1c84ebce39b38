"""Distances between point clouds."""

from typing import NamedTuple

import numpy as np
import torch
from scipy.spatial import cKDTree

from skfm_lib.metrics.validation import float64
from skfm_lib.utils.errors import SkfmError


class Chamfer(NamedTuple):
    """Mean nearest-neighbour distances in mm, each () or, for a batch, (batch,)."""

    cd: torch.Tensor
    accuracy: torch.Tensor
    completeness: torch.Tensor


def chamfer(
    pred: torch.Tensor | np.ndarray, target: torch.Tensor | np.ndarray
) -> Chamfer:
    """Chamfer distance of `pred` (…, n, 3) and `target` (…, m, 3), mm, unsquared.

    Accuracy is the mean distance from a predicted point to the nearest target
    point, completeness the mean from a target point to the nearest predicted
    one, and cd = (accuracy + completeness) / 2, as the entries of the paper's
    Tables 5 and 6 show.  Two samplings of one surface are not 0 apart: print
    that floor beside a result.  Exact (k-d trees), float64; takes one pair of
    clouds or a batch.  Raises SkfmError for another shape, an empty cloud or
    NaN and infinity.
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
    accuracy, completeness = _mean_nearest(pred, target), _mean_nearest(target, pred)
    return Chamfer((accuracy + completeness) / 2, accuracy, completeness)


def _mean_nearest(source: np.ndarray, goal: np.ndarray) -> torch.Tensor:
    nearest, _ = cKDTree(goal).query(source, workers=-1)
    return torch.tensor(nearest.mean())


def _cloud(points: torch.Tensor | np.ndarray, name: str) -> np.ndarray:
    cloud = float64(points)
    if cloud.ndim not in (2, 3) or cloud.shape[-1] != 3 or cloud.size == 0:
        raise SkfmError(f"{name} has shape {cloud.shape}", "(n, 3) or (batch, n, 3)")
    if not np.isfinite(cloud).all():
        raise SkfmError(f"{name} holds NaN or infinity", "coordinates in mm")
    return cloud
