"""Nearest points, points within a ball, and the Chamfer distance as a loss.

On a CPU, nearest points are found by k-d trees, and balls are filled for as many
centres at a time as stay in the cache; on a GPU, distances are computed for some rows
at a time.  The complete table of n × m distances is never held.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.models.pointcloud.validation import check_clouds
from skfm_lib.utils.device import on_cpu
from skfm_lib.utils.errors import SkfmError

TABLE, CACHED = 1 << 27, 1 << 15  # distances held at a time: 512 MiB, 128 KiB


def take(values: Tensor, index: Tensor) -> Tensor:
    """The rows (b, …, c) of values (b, n, c) at index (b, …), with gradients."""
    b, n, c = values.shape
    first = torch.arange(b, device=index.device) * n
    rows = index + first.view(-1, *[1] * (index.dim() - 1))
    return F.embedding(rows, values.reshape(b * n, c))


@torch.no_grad()
def nearest(points: Tensor, among: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest of `among` (b, m, 3) for each of `points` (b, n, 3).

    Returns:
        Distances in mm and indices, each (b, n, k), nearest first.

    Raises:
        SkfmError: for clouds that are empty, not finite, or smaller than k.

    >>> nearest(torch.zeros(1, 1, 3), torch.tensor([[[0.0, 0, 9], [0, 0, 2]]]))
    (tensor([[[2.]]]), tensor([[[1]]]))
    """
    points, among = _pair(points, among, k)
    if on_cpu(points):
        found = [
            map(np.asarray, cKDTree(cloud).query(near, np.arange(1, k + 1), workers=-1))
            for cloud, near in zip(among.numpy(), points.numpy())
        ]
        distance, index = (torch.from_numpy(np.stack(part)) for part in zip(*found))
        return distance.to(points.dtype), index
    # For one, the first of equally near points; topk's choice is not specified.
    parts = [
        table.min(-1, keepdim=True) if k == 1 else table.topk(k, largest=False)
        for table in _tables(points, among)
    ]
    squares, index = (torch.cat(found, 1) for found in zip(*parts))
    return squares.sqrt(), index


def chamfer_loss(pred: Tensor, target: Tensor) -> Tensor:
    """½ (mean ‖p − nearest t‖ + mean ‖t − nearest p‖), a scalar with gradients.

    Of clouds (b, n, 3) and (b, m, 3), in their unit, not squared: the cd of
    `metrics.chamfer`, averaged over the batch.
    """
    gaps = []
    for points, among in ((pred, target), (target, pred)):
        index = nearest(points, among)[1].squeeze(-1)
        gaps.append((points - take(among, index)).norm(dim=-1).mean())
    return (gaps[0] + gaps[1]) / 2


@torch.no_grad()
def ball_query(
    points: Tensor, centres: Tensor, radii: Sequence[float], counts: Sequence[int]
) -> list[Tensor]:
    """Points (b, n, 3) within each radius of centres (b, s, 3): indices (b, s, count).

    As in PointNet++ (Qi et al. 2017): the first `count` in storage order with
    distance ≤ radius, not the nearest; fewer are padded with the first.  Distances
    are computed once for all radii.

    Raises:
        SkfmError: where a ball is empty; no ball around a point of the cloud is.
    """
    centres, points = _pair(centres, points, 1)
    if not on_cpu(points):
        return _balls_of_tables(points, centres, radii, counts)
    pairs = zip(points.numpy(), centres.numpy())
    found = [_balls_in_cache(cloud, some, radii, counts) for cloud, some in pairs]
    return [torch.from_numpy(np.stack(balls)) for balls in zip(*found)]


def _pair(points: Tensor, among: Tensor, fewest: int) -> tuple[Tensor, Tensor]:
    check_clouds(points), check_clouds(among, fewest, "among")
    if len(points) != len(among):
        raise SkfmError(
            f"{len(points)} clouds of points and {len(among)} of neighbours",
            "equal numbers",
        )
    return points.detach().float(), among.detach().float()


def _tables(points: Tensor, among: Tensor) -> Iterator[Tensor]:
    """Squared distances (b, rows, m) of successive points to all of `among`.

    By (x − y)², not x² − 2xy + y², which cancels.
    """
    rows = max(1, TABLE // (len(among) * among.shape[1]))
    for part in points.split(rows, dim=1):
        squares = part.new_zeros(*part.shape[:2], among.shape[1])
        for a, b in zip(part.unbind(-1), among.unbind(-1)):
            squares += (a[:, :, None] - b[:, None]).square_()
        yield squares


def _balls_in_cache(
    cloud: np.ndarray,
    centres: np.ndarray,
    radii: Sequence[float],
    counts: Sequence[int],
) -> list[np.ndarray]:
    """The balls (s, count) of one cloud, for some centres at a time."""
    axes, n = np.ascontiguousarray(cloud.T), len(cloud)
    balls: list[list[np.ndarray]] = [[] for _ in radii]
    rows = max(1, CACHED // n)
    for some in np.split(centres, range(rows, len(centres), rows)):
        squares = np.zeros((len(some), n), np.float32)
        for axis, coordinates in zip(axes, some.T):
            squares += np.square(axis - coordinates[:, None])
        # Of all points only those in the largest ball are compared with other radii.
        hits = np.flatnonzero(squares <= max(radii) ** 2)
        squares = squares.ravel()[hits]
        for ball, radius, count in zip(balls, radii, counts):
            found = hits[squares <= radius**2]
            ends = np.searchsorted(found, n * np.arange(len(some) + 1))
            ball.append(found[_first_hits(ends, radius, count)] % n)
    return [np.concatenate(parts) for parts in balls]


def _balls_of_tables(
    points: Tensor, centres: Tensor, radii: Sequence[float], counts: Sequence[int]
) -> list[Tensor]:
    """The balls (b, s, count) of all clouds at once, from tables of distances."""
    balls: list[list[Tensor]] = [[] for _ in radii]
    for table in _tables(centres, points):
        for ball, radius, count in zip(balls, radii, counts):
            hit = table.flatten(0, 1) <= radius**2
            ends = F.pad(hit.sum(1).cumsum(0), (1, 0)).cpu().numpy()
            first = torch.from_numpy(_first_hits(ends, radius, count)).to(hit.device)
            column = hit.nonzero()[:, 1]
            ball.append(column[first].unflatten(0, table.shape[:2]))
    return [torch.cat(parts, 1) for parts in balls]


def _first_hits(ends: np.ndarray, radius: float, count: int) -> np.ndarray:
    """Indices (rows, count) of each row's first hits in the list of all hits.

    `ends` (rows + 1,) are the bounds of the rows; short rows repeat their first hit.
    """
    start, stop = ends[:-1, None], ends[1:, None]
    if (start == stop).any():
        raise SkfmError(
            f"no point within {radius:g} of a centre", "centres among the points"
        )
    index = start + np.arange(count)
    return np.where(index < stop, index, start)
