"""The PointNet++ encoder with multi-scale grouping (Qi et al. 2017).

Two set abstractions pool over balls of three radii around points spread far apart, a
third over all points; the paper adds a skip from the first (E.1).  Neighbourhoods
depend only on distances: they are the same for all rigid motions of a cloud.
Channels are last, so that a layer is one matrix product over all neighbours.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.pointcloud import ball_query, farthest_points, take
from skfm_lib.utils.device import on_cpu

RADII = ((0.1, 0.2, 0.4), (0.2, 0.4, 0.8))  # of the unit sphere, PointNet++ appendix B
WIDTHS = (  # of the published classification network, for each radius
    ((32, 32, 64), (64, 64, 128), (64, 96, 128)),
    ((64, 64, 128), (128, 128, 256), (128, 128, 256)),
)
GLOBAL = (256, 512)  # widths of the last set abstraction, before the embedding


class Neighbourhoods(NamedTuple):
    """Indices of a set abstraction's centres (b, s), and, for each radius, of the
    points in the balls around them (b, s, k)."""

    centres: Tensor
    balls: list[Tensor]


def neighbourhoods(
    points: Tensor, settings: presets.AlignerConfig
) -> tuple[Neighbourhoods, ...]:
    """Those of both set abstractions, for points (b, n, 3) in units of the scale.

    Raises:
        SkfmError: for clouds of fewer different points than there are centres.
    """
    levels = []
    for count, radii, counts in zip(settings.centres, RADII, settings.neighbours):
        index = farthest_points(points, count)
        centres = take(points, index)
        levels.append(Neighbourhoods(index, ball_query(points, centres, radii, counts)))
        points = centres
    return tuple(levels)


class SharedMLP(nn.Module):
    """Linear, BatchNorm and ReLU layers, shared by all points, then the maximum.

    The first layer is split into coordinates and features: W [x; f] = W_x x + W_f f.
    W_f f is therefore computed once a point, not once for every ball that holds it.
    """

    def __init__(self, features: int, widths: Sequence[int]) -> None:
        super().__init__()
        first, *others = widths
        self.coordinates = nn.Linear(3, first, bias=False)
        self.lift = nn.Linear(features, first, bias=False) if features else None
        layers: list[nn.Module] = [nn.BatchNorm1d(first)]
        for width, after in zip(widths, others):
            layers += [nn.ReLU(inplace=True), nn.Linear(width, after, bias=False)]
            layers.append(nn.BatchNorm1d(after))
        self.layers = nn.Sequential(*layers)

    def forward(
        self, coordinates: Tensor, features: Tensor | None, ball: Tensor | None = None
    ) -> Tensor:
        """The maximum (b, …, c) over the points in each ball.

        These have `coordinates` (b, …, k, 3) and indices `ball` (b, …, k), by default
        all; `features` (b, n, f) are those of all points.
        """
        x = self.coordinates(coordinates)
        if self.lift is not None:
            lifted = self.lift(features)
            x = x + (lifted if ball is None else take(lifted, ball))
        # ReLU preserves order: after the maximum it is applied once a ball.
        return F.relu(largest(self.layers(x.flatten(0, -2)).view(*x.shape[:-1], -1)))


def largest(x: Tensor) -> Tensor:
    """The maximum over the last axis but one: (b, …, k, c) → (b, …, c).

    On a CPU by pooling in channels last, which in PyTorch 2.13 is eight times as fast
    as ``max``; on a GPU its gradient is not reproducible.  The gradient goes to one of
    equal values.
    """
    if not on_cpu(x):
        return x.max(-2).values
    rows = x.flatten(0, -3).unsqueeze(2).permute(0, 3, 1, 2)
    return F.max_pool2d(rows, (x.shape[-2], 1)).view(*x.shape[:-2], x.shape[-1])


class SetAbstraction(nn.Module):
    """Features around each centre, at several radii: (b, n, f) → (b, s, Σ widths)."""

    def __init__(self, features: int, widths: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(SharedMLP(features, w) for w in widths)
        self.width = sum(w[-1] for w in widths)

    def forward(
        self, points: Tensor, features: Tensor | None, hood: Neighbourhoods
    ) -> tuple[Tensor, Tensor]:
        """The centres (b, s, 3) and the features of the coordinates around them."""
        centres = take(points, hood.centres)
        pooled = [
            scale(take(points, ball) - centres[:, :, None], features, ball)
            for scale, ball in zip(self.scales, hood.balls)
        ]
        return centres, torch.cat(pooled, -1)


class PointNet2(nn.Module):
    """A cloud (b, n, 3) in units of the scale → its embedding (b, width).

    With `settings.skip` "add", the first set abstraction, pooled over its centres and
    projected, is added to the embedding; with "concat", it is appended as it is.
    """

    def __init__(self, settings: presets.AlignerConfig) -> None:
        super().__init__()
        near, far = (
            [[round(settings.width * w) for w in widths] for widths in level]
            for level in WIDTHS
        )
        last = [round(settings.width * w) for w in GLOBAL] + [settings.embedding]
        self.near = SetAbstraction(0, near)
        self.far = SetAbstraction(self.near.width, far)
        self.everything = SharedMLP(self.far.width, last)
        self.width, self.skip = settings.embedding, None
        if settings.skip == "add":
            self.skip = nn.Linear(self.near.width, settings.embedding)
        else:
            self.width += self.near.width

    def forward(self, points: Tensor, hoods: tuple[Neighbourhoods, ...]) -> Tensor:
        """The embedding; `hoods` are the cloud's `neighbourhoods`."""
        points, first = self.near(points, None, hoods[0])
        points, second = self.far(points, first, hoods[1])
        embedding, pooled = self.everything(points, second), first.max(1).values
        if self.skip is None:
            return torch.cat([embedding, pooled], -1)
        return embedding + self.skip(pooled)
