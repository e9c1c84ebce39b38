"""Farthest-point sampling (Eldar et al. 1997), as in PointNet++ and PointAttN."""

import numpy as np
import torch
from torch import Tensor

from skfm_lib.models.pointcloud.validation import check_clouds
from skfm_lib.utils.errors import SkfmError

CACHED = 1 << 15  # points of all clouds that are processed together


@torch.no_grad()
def farthest_points(points: Tensor, count: int) -> Tensor:
    """Indices (b, count) of points of (b, n, 3) that are greedily spread far apart.

    The first is the point farthest from the cloud's mean, each further one is farthest
    from those selected; the selection depends only on the point set, not on its order
    or pose.

    On a CPU by numpy, which finds a maximum ten times as fast as PyTorch 2.13, for as
    many clouds at a time as stay in the cache; on CUDA for all at once.

    Raises:
        SkfmError: for clouds of fewer than `count` different points.
    """
    clouds = check_clouds(points, count).detach().float()
    if clouds.is_cuda:
        chosen, gap = _all_at_once(clouds, count)
    else:
        parts = clouds.split(max(1, CACHED // clouds.shape[1]))
        found = [_in_cache(part.numpy(), count) for part in parts]
        chosen = torch.from_numpy(np.concatenate([indices for indices, _ in found]))
        gap = min(gap for _, gap in found)
    if gap == 0 and count > 1:
        raise SkfmError(
            f"a cloud has fewer than {count} different points",
            f"{count} with different coordinates",
            "sample more points, or remove the duplicates",
        )
    return chosen


def _in_cache(clouds: np.ndarray, count: int) -> tuple[np.ndarray, float]:
    """Indices (b, count), and the smallest squared distance of a last point."""
    axes, rows = np.ascontiguousarray(np.moveaxis(clouds, 2, 0)), np.arange(len(clouds))
    chosen, step = np.empty((len(clouds), count), np.int64), np.empty_like(axes)
    near = np.full(axes.shape[1:], np.inf, np.float32)
    centre = clouds.mean(axis=1, keepdims=True, dtype=np.float64)
    farthest = np.square(clouds - centre).sum(axis=2).argmax(axis=1)
    for i in range(count):
        chosen[:, i], gap = farthest, near[rows, farthest]
        np.subtract(axes, axes[:, rows, farthest, None], out=step)
        np.multiply(step, step, out=step)
        np.add(step[0], step[1], out=step[0])
        np.add(step[0], step[2], out=step[0])
        np.minimum(near, step[0], out=near)
        farthest = near.argmax(axis=1)
    return chosen, float(gap.min())


def _all_at_once(clouds: Tensor, count: int) -> tuple[Tensor, float]:
    """The same on tensors."""
    b, n, _ = clouds.shape
    chosen = torch.empty(b, count, dtype=torch.long, device=clouds.device)
    near = torch.full((b, n), torch.inf, device=clouds.device)
    centre = clouds.double().mean(1, keepdim=True)
    farthest = (clouds - centre).square().sum(-1).argmax(1, keepdim=True)
    for i in range(count):
        chosen[:, i : i + 1] = farthest
        gap = near.gather(1, farthest)
        point = clouds.gather(1, farthest[..., None].expand(b, 1, 3))
        near = torch.minimum(near, (clouds - point).square().sum(-1))
        farthest = near.argmax(1, keepdim=True)
    return chosen, float(gap.min())
