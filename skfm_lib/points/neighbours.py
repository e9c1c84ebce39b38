"""Neighbours: the k nearest points, and those within a ball.

On a CPU, k-d trees find the nearest and balls are filled one centre at a time; on
CUDA, distances are computed some rows at a time.  The whole table of n × m distances
is never held.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.errors import SkfmError
from skfm_lib.points.checks import check_clouds

TABLE = 2**27  # distances held at a time, 512 MiB
DIRECT = "donot_use_mm_for_euclid_dist"  # (x − y)², not x² − 2xy + y²: no cancelling


def take(values: Tensor, index: Tensor) -> Tensor:
    """The rows (b, …, c) of values (b, n, c) at index (b, …), with gradients."""
    b, n, c = values.shape
    first = torch.arange(b, device=index.device) * n
    rows = index + first.view(-1, *[1] * (index.dim() - 1))
    return F.embedding(rows, values.reshape(b * n, c))


@torch.no_grad()
def nearest(points: Tensor, among: Tensor, k: int = 1) -> tuple[Tensor, Tensor]:
    """The k nearest of `among` (b, m, 3) for each of `points` (b, n, 3).

    Returns (distances in mm, indices), each (b, n, k), nearest first.  Raises
    SkfmError for clouds that are empty, not finite, or smaller than k.
    """
    points, among = _pair(points, among, k)
    if not points.is_cuda:
        found = [
            cKDTree(cloud).query(near, k=np.arange(1, k + 1), workers=-1)
            for cloud, near in zip(among.numpy(), points.numpy())
        ]
        distance, index = (torch.from_numpy(np.stack(part)) for part in zip(*found))
        return distance.to(points.dtype), index
    parts = [table.topk(k, largest=False) for table in _tables(points, among)]
    return torch.cat([d for d, _ in parts], 1), torch.cat([i for _, i in parts], 1)


@torch.no_grad()
def ball_query(
    points: Tensor, centres: Tensor, radii: Sequence[float], counts: Sequence[int]
) -> list[Tensor]:
    """For each radius, `count` points within it of every centre: indices (b, s, count).

    points   (b, n, 3); centres (b, s, 3); radii in the same unit

    As in PointNet++ (Qi et al. 2017): the first `count` in storage order with
    distance ≤ radius, not the nearest; fewer are filled up with the first.  Distances
    are computed once for all radii.  Raises SkfmError where a ball is empty, which no
    ball around a point of the cloud is.
    """
    centres, points = _pair(centres, points, 1)
    if points.is_cuda:
        return _balls_of_tables(points, centres, radii, counts)
    pairs = zip(points.numpy(), centres.numpy())
    found = [_balls_of_rows(cloud, some, radii, counts) for cloud, some in pairs]
    return [torch.from_numpy(np.stack(balls)) for balls in zip(*found)]


def interpolate(points: Tensor, known: Tensor, values: Tensor) -> Tensor:
    """Values (b, n, c) at `points` from those (b, m, c) at `known` places (b, m, 3).

    The three nearest, weighted by 1/d² (PointNet++, eq. 2); exact at a known place.
    """
    distance, index = nearest(points, known, 3)
    weight = 1 / distance.square().clamp(min=1e-12)
    weight = weight / weight.sum(-1, keepdim=True)
    return (weight[..., None] * take(values, index)).sum(-2)


def _pair(points: Tensor, among: Tensor, fewest: int) -> tuple[Tensor, Tensor]:
    check_clouds(points), check_clouds(among, fewest, "among")
    if len(points) != len(among):
        raise SkfmError(
            f"{len(points)} clouds of points and {len(among)} of neighbours",
            "as many of one as of the other",
        )
    return points.detach().float(), among.detach().float()


def _tables(points: Tensor, among: Tensor) -> Iterator[Tensor]:
    """Distances (b, rows, m) from some points after others to all of `among`."""
    rows = max(1, TABLE // (len(among) * among.shape[1]))
    for part in points.split(rows, dim=1):
        yield torch.cdist(part, among, compute_mode=DIRECT)


def _balls_of_rows(
    cloud: np.ndarray,
    centres: np.ndarray,
    radii: Sequence[float],
    counts: Sequence[int],
) -> list[np.ndarray]:
    """The balls (s, count) of one cloud, a centre at a time: a row stays in the cache.

    Points are compared with the largest radius; the others look at its hits only.
    """
    axes, largest = np.ascontiguousarray(cloud.T), max(radii) ** 2
    balls = [np.empty((len(centres), count), np.int64) for count in counts]
    step = np.empty_like(axes)
    for row, centre in enumerate(centres):
        np.subtract(axes, centre[:, None], out=step)
        np.multiply(step, step, out=step)
        np.add(step[0], step[1], out=step[0])
        np.add(step[0], step[2], out=step[0])
        hits = np.flatnonzero(step[0] <= largest)
        squares = step[0][hits]
        for ball, radius, count in zip(balls, radii, counts):
            chosen = hits[squares <= radius**2][:count]
            if not len(chosen):
                raise _empty_ball(radius)
            ball[row, : len(chosen)] = chosen
            ball[row, len(chosen) :] = chosen[0]
    return balls


def _balls_of_tables(
    points: Tensor, centres: Tensor, radii: Sequence[float], counts: Sequence[int]
) -> list[Tensor]:
    """The balls (b, s, count) of all clouds at once, from tables of distances."""
    found = [
        [_first(table, radius, count) for radius, count in zip(radii, counts)]
        for table in _tables(centres, points)
    ]
    return [torch.cat(parts, 1) for parts in zip(*found)]


def _first(table: Tensor, radius: float, count: int) -> Tensor:
    """The first `count` columns (b, rows, count) of each row within the radius.

    Counted in the list of all hits: sorting the table would take many times as long.
    """
    hit = table.flatten(0, 1) <= radius
    row, column = hit.nonzero(as_tuple=True)
    hits = hit.sum(1)
    if not hits.all():
        raise _empty_ball(radius)
    start = hits.cumsum(0) - hits
    rank = torch.arange(len(row), device=row.device) - start[row]
    early = rank < count
    chosen = column[start][:, None].repeat(1, count)
    chosen[row[early], rank[early]] = column[early]
    return chosen.unflatten(0, table.shape[:2])


def _empty_ball(radius: float) -> SkfmError:
    return SkfmError(
        f"no point within {radius:g} of a centre", "centres among the points"
    )
