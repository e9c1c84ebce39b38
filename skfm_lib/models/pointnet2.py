"""The PointNet++ encoder with multi-scale grouping (Qi et al. 2017), from cloud to
vector, with the paper's skip from the first set abstraction (E.1).

Two set abstractions look at balls of three sizes around points far apart, a third at
everything.  Neighbourhoods depend on distances alone; so they are found once for a
cloud and serve every rigid motion of it.  Channels come last: a layer is one matrix
product over all neighbours.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.pointcloud import ball_query, farthest_points, take

RADII = ((0.1, 0.2, 0.4), (0.2, 0.4, 0.8))  # of the unit sphere, PointNet++ appendix B
WIDTHS = (  # of the published classification network, for each radius
    ((32, 32, 64), (64, 64, 128), (64, 96, 128)),
    ((64, 64, 128), (128, 128, 256), (128, 128, 256)),
)
GLOBAL = (256, 512)  # widths of the last set abstraction, before the embedding


class Neighbourhoods(NamedTuple):
    """Of one set abstraction: indices of its centres (b, s) and of the points in the
    balls around them, (b, s, k) for each radius."""

    centres: Tensor
    balls: list[Tensor]


def neighbourhoods(
    points: Tensor, settings: presets.AlignerConfig
) -> tuple[Neighbourhoods, ...]:
    """Those of both set abstractions, for points (b, n, 3) in units of the scale.

    Raises SkfmError for clouds of fewer different points than there are centres.
    """
    levels = []
    for count, radii, most in zip(settings.centres, RADII, settings.neighbours):
        centres = farthest_points(points, count)
        middle = take(points, centres)
        levels.append(Neighbourhoods(centres, ball_query(points, middle, radii, most)))
        points = middle
    return tuple(levels)


class SharedMLP(nn.Module):
    """Linear, BatchNorm and ReLU, layer after layer, alike for every point.

    The first layer takes places and features apart: W [x; f] = W_x x + W_f f.  So
    W_f f is computed once a point, and not once for every ball that holds it.
    """

    def __init__(self, features: int, widths: Sequence[int]) -> None:
        super().__init__()
        first, *others = widths
        self.places = nn.Linear(3, first, bias=False)
        self.lift = nn.Linear(features, first, bias=False) if features else None
        layers: list[nn.Module] = []
        for width, after in zip(widths, (*others, None)):
            layers.append(nn.BatchNorm1d(width))
            if after:
                layers.append(nn.ReLU(inplace=True))
                layers.append(nn.Linear(width, after, bias=False))
        self.layers = nn.Sequential(*layers)

    def forward(
        self, places: Tensor, features: Tensor | None, ball: Tensor | None = None
    ) -> Tensor:
        """The largest response (b, …, c) within each ball.

        places    (b, …, k, 3) of the members; features (b, n, f) of the points
        ball      (b, …, k), which points are members; by default all, in order
        """
        x = self.places(places)
        if self.lift is not None:
            lifted = self.lift(features)
            x = x + (lifted if ball is None else take(lifted, ball))
        # The largest first: ReLU keeps order, and so sees one response a ball.
        return F.relu(largest(self.layers(x.flatten(0, -2)).view(*x.shape[:-1], -1)))


def largest(x: Tensor) -> Tensor:
    """The maximum over the last axis but one: (b, …, k, c) → (b, …, c).

    By pooling in channels last, which PyTorch 2.13 does on a CPU eight times as fast
    as ``max``; the gradient goes to one of equal values.
    """
    rows = x.flatten(0, -3).unsqueeze(2).permute(0, 3, 1, 2)
    return F.max_pool2d(rows, (x.shape[-2], 1)).view(*x.shape[:-2], x.shape[-1])


class SetAbstraction(nn.Module):
    """What surrounds each centre, at several radii: (b, n, f) → (b, s, Σ widths)."""

    def __init__(self, features: int, widths: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.scales = nn.ModuleList(SharedMLP(features, w) for w in widths)
        self.width = sum(w[-1] for w in widths)

    def forward(
        self, points: Tensor, features: Tensor | None, hood: Neighbourhoods
    ) -> tuple[Tensor, Tensor]:
        """The centres (b, s, 3) and their features; places are relative to them."""
        centres = take(points, hood.centres)
        seen = [
            scale(take(points, ball) - centres[:, :, None], features, ball)
            for scale, ball in zip(self.scales, hood.balls)
        ]
        return centres, torch.cat(seen, -1)


class PointNet2(nn.Module):
    """A cloud (b, n, 3) in units of the scale → its embedding (b, width).

    skip  "add": the first set abstraction, pooled over its centres and projected, is
          added to the embedding; "concat": it is appended as it is
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
        """hoods: the cloud's `neighbourhoods`."""
        points, first = self.near(points, None, hoods[0])
        points, second = self.far(points, first, hoods[1])
        embedding, pooled = self.everything(points, second), first.max(1).values
        if self.skip is None:
            return torch.cat([embedding, pooled], -1)
        return embedding + self.skip(pooled)
