"""Straightforward aligner and PointAttN, to measure ours against.

Full tables of distances, a sort for every ball, channels first, one convolution of
kernel 1 per layer, PyTorch's own attention module with its table of weights, float32.
The networks are the same: with the same weights they give the same clouds.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.aligner import head, in_order
from skfm_lib.models.pointattn import FEED, HEADS
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.models.pointnet2 import GLOBAL, RADII, WIDTHS


def pick(x: Tensor, index: Tensor) -> Tensor:
    """The rows of x (b, n, c) at index (b, …)."""
    item = torch.arange(len(x), device=x.device)
    return x[item.view(-1, *[1] * (index.dim() - 1)), index]


def farthest(points: Tensor, count: int) -> Tensor:
    """Farthest-point sampling, (b, count)."""
    middle = points.mean(1, keepdim=True)
    last = (points - middle).square().sum(-1).argmax(1)
    near = torch.full(points.shape[:2], torch.inf, device=points.device)
    chosen = []
    for _ in range(count):
        chosen.append(last)
        gap = (points - pick(points, last[:, None])).square().sum(-1)
        near = torch.minimum(near, gap)
        last = near.argmax(1)
    return torch.stack(chosen, 1)


def balls(points: Tensor, centres: Tensor, radius: float, count: int) -> Tensor:
    """The first `count` points within the radius of each centre (b, s, count)."""
    table, n = torch.cdist(centres, points), points.shape[1]
    index = torch.arange(n, device=points.device).expand(table.shape).clone()
    index[table > radius] = n
    index = index.sort(-1).values[..., :count]
    return torch.where(index == n, index[..., :1], index)


def chamfer(pred: Tensor, target: Tensor) -> Tensor:
    """The Chamfer distance from the full table of distances."""
    table = torch.cdist(pred, target)
    return (table.amin(1).mean() + table.amin(2).mean()) / 2


def convolutions(*widths: int) -> nn.Sequential:
    """1×1 convolutions from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Conv1d(before, after, 1), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


class Abstraction(nn.Module):
    """A set abstraction, one branch per radius; without radii, of all points."""

    def __init__(
        self, channels: int, widths: Sequence[Sequence[int]], radii: Sequence[float]
    ) -> None:
        super().__init__()
        self.radii, self.scales = radii, nn.ModuleList()
        for w in widths:
            layers: list[nn.Module] = []
            for before, after in zip((channels + 3, *w), w):
                conv = nn.Conv2d(before, after, 1, bias=False)
                layers += [conv, nn.BatchNorm2d(after), nn.ReLU()]
            self.scales.append(nn.Sequential(*layers))

    def forward(
        self, points: Tensor, x: Tensor | None, count: int, most: Sequence[int]
    ) -> tuple[Tensor, Tensor]:
        """x (b, n, c) → centres (b, count, 3) and their features (b, count, c')."""
        centres, seen = pick(points, farthest(points, count)), []
        for scale, radius, k in zip(self.scales, self.radii, most):
            ball = balls(points, centres, radius, k)
            near = pick(points, ball) - centres[:, :, None]
            if x is not None:
                near = torch.cat([near, pick(x, ball)], -1)
            seen.append(scale(near.permute(0, 3, 2, 1)).amax(2))
        return centres, torch.cat(seen, 1).transpose(1, 2)


class Encoder(nn.Module):
    """PointNet++ with the paper's skip connection, added."""

    def __init__(self, settings: presets.AlignerConfig) -> None:
        super().__init__()
        self.settings, share = settings, settings.width
        near, far = (
            [[round(share * w) for w in ws] for ws in level] for level in WIDTHS
        )
        last = [round(share * w) for w in GLOBAL] + [settings.embedding]
        self.near = Abstraction(0, near, RADII[0])
        width = sum(w[-1] for w in near)
        self.far = Abstraction(width, far, RADII[1])
        self.everything = Abstraction(sum(w[-1] for w in far), [last], ())
        self.skip = nn.Linear(width, settings.embedding)

    def forward(self, points: Tensor) -> Tensor:
        """(b, n, 3) → (b, embedding)."""
        near, far = zip(self.settings.centres, self.settings.neighbours)
        points, first = self.near(points, None, *near)
        points, x = self.far(points, first, *far)
        x = torch.cat([points, x], -1).transpose(1, 2)[:, :, None]
        return self.everything.scales[0](x).amax((2, 3)) + self.skip(first.amax(1))


class PlainAligner(nn.Module):
    """(points) → aligned, mm; for the settings of the paper."""

    def __init__(self, settings: presets.AlignerConfig) -> None:
        super().__init__()
        self.coarse, self.fine = Encoder(settings), Encoder(settings)
        width, identity = settings.embedding, torch.eye(3)
        self.turn, self.finer_turn = head(width, identity), head(width, identity)
        self.shift = head(width, torch.zeros(3))

    def forward(self, points: Tensor) -> Tensor:
        """(b, n, 3) → (b, n, 3)."""
        centred = (points - points.mean(1, keepdim=True)) / SCALE
        cloud = in_order(centred)
        first = self.turn(self.coarse(cloud)).view(-1, 3, 3)
        seen = self.fine(cloud @ first.mT)
        rotation = self.finer_turn(seen).view(-1, 3, 3) @ first
        return SCALE * (centred @ rotation.mT + self.shift(seen)[:, None])


class Attention(nn.Module):
    """Attention of points (b, c, n) to themselves or to others (b, c, m)."""

    def __init__(self, channels: int, width: int, feed: int) -> None:
        super().__init__()
        self.project = nn.Conv1d(channels, width, 1)
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attend = nn.MultiheadAttention(width, HEADS, batch_first=True)
        self.feed = nn.Sequential(
            nn.Linear(width, feed), nn.GELU(), nn.Linear(feed, width)
        )

    def forward(self, x: Tensor, others: Tensor | None = None) -> Tensor:
        """(b, channels, n) → (b, width, n)."""
        clouds = (x, x if others is None else others)
        x, y = (self.norm(self.project(c).transpose(1, 2)) for c in clouds)
        x = self.second_norm(x + self.attend(x, y, y)[0])
        return (x + self.feed(x)).transpose(1, 2)


class Refinement(nn.Module):
    """`ratio` points for each of (b, 3, n), moved by learned offsets."""

    def __init__(self, width: int, ratio: int, feed: int) -> None:
        super().__init__()
        self.ratio, many = ratio, 2 * width * ratio
        self.coordinates = convolutions(3, width, 2 * width)
        self.feature = convolutions(8 * width, 4 * width, 2 * width)
        self.among = nn.Sequential(
            Attention(4 * width, 8 * width, feed),
            Attention(8 * width, 8 * width, feed),
            Attention(8 * width, many, feed),
        )
        self.expand = nn.Conv1d(many, many, 1)
        self.join = nn.Conv1d(4 * width, 2 * width, 1)
        self.offset = convolutions(2 * width, width, 3)

    def forward(self, points: Tensor, pooled: Tensor) -> Tensor:
        """(b, 3, n) and global features (b, 8 · width, 1) → (b, 3, ratio · n)."""
        x = self.coordinates(points)
        split = self.among(torch.cat([x, self.feature(pooled).expand_as(x)], 1))
        split = self.expand(split).unflatten(1, (self.ratio, -1))
        split = split.permute(0, 2, 3, 1).flatten(2)
        repeated = x.repeat_interleave(self.ratio, 2)
        x = F.relu(self.join(torch.cat([split, repeated], 1)))
        return points.repeat_interleave(self.ratio, 2) + self.offset(x)


class PlainPointAttN(nn.Module):
    """(points) → (coarse, fine1, fine2), in mm."""

    def __init__(self, settings: presets.CompleterConfig) -> None:
        super().__init__()
        width, feed = settings.width, FEED * settings.width
        self.settings, self.seeds = settings, settings.points // 16
        self.embed = convolutions(3, width, width)
        steps, wide = (width, 2 * width, 4 * width), 8 * width
        self.gather = nn.ModuleList(Attention(w, w, feed) for w in steps)
        self.among = nn.ModuleList(Attention(2 * w, 2 * w, feed) for w in steps)
        self.adjust = nn.Conv1d(wide, wide, 1)
        self.spread = nn.Linear(wide, self.seeds * width)
        self.widen = nn.Conv1d(width, wide, 1)
        self.seeding = nn.Sequential(*(Attention(wide, wide, feed) for _ in range(3)))
        self.to_points = convolutions(4 * width, width, 3)
        self.refine = nn.ModuleList(Refinement(width, r, feed) for r in settings.ratios)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n, 3) → three clouds."""
        left = points = points / SCALE
        x = self.embed(points.transpose(1, 2))
        for gather, among, share in zip(self.gather, self.among, (4, 8, 16)):
            index = farthest(left, self.settings.points // share)
            left, chosen = pick(left, index), pick(x.transpose(1, 2), index)
            chosen = chosen.transpose(1, 2)
            x = among(torch.cat([gather(chosen, x), chosen], 1))
        pooled = x.amax(2, keepdim=True)
        coarse = self._coarse(pooled)
        both = torch.cat([points, coarse], 1)
        start = pick(both, farthest(both, self.settings.points // 8)).transpose(1, 2)
        fine1 = self.refine[0](start, pooled)
        fine2 = self.refine[1](fine1, pooled).transpose(1, 2)
        return SCALE * coarse, SCALE * fine1.transpose(1, 2), SCALE * fine2

    def _coarse(self, pooled: Tensor) -> Tensor:
        x = self.spread(F.relu(self.adjust(pooled)).squeeze(2))
        x = F.relu(x.unflatten(1, (self.seeds, -1)).transpose(1, 2))
        x = self.seeding(F.relu(self.widen(x))).transpose(1, 2)
        x = x.unflatten(2, (2, -1)).flatten(1, 2).transpose(1, 2)
        return self.to_points(x).transpose(1, 2)
