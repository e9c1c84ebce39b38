"""PointAttN (Wang et al. 2024): completion of a partial cloud by attention alone.

Written from the published description.  The published generator of seeds is for 2048
points; here the number of seeds makes the coarse output an eighth of any input: 256
seeds and 512 coarse points for the 4096 points of the paper's Table 10.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.models.pointcloud import check_clouds, farthest_points, take
from skfm_lib.models.pointcloud.layers import SCALE, Float32
from skfm_lib.utils.device import on_cpu
from skfm_lib.utils.errors import SkfmError

HEADS = 4
FEED = 16  # width of the feed-forward layers, in units of the first layer's


class Attention(nn.Module):
    """Self- or cross-attention of points: (b, n, c) → (b, n, width)."""

    def __init__(self, channels: int, width: int, feed: int) -> None:
        super().__init__()
        self.project = nn.Linear(channels, width)
        self.norm, self.second_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.to_q, self.to_kv = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.to_out = nn.Linear(width, width)
        self.feed = nn.Sequential(
            nn.Linear(width, feed), nn.GELU(), nn.Linear(feed, width)
        )

    def forward(self, x: Tensor, others: Tensor | None = None) -> Tensor:
        """Attention of x to `others` (b, m, c), or to x itself."""
        x = self.norm(self.project(x))
        source = x if others is None else self.norm(self.project(others))
        q, (k, v) = self.to_q(x), self.to_kv(source).chunk(2, -1)
        q, k, v = (h.unflatten(-1, (HEADS, -1)).transpose(1, 2) for h in (q, k, v))
        x = x + self.to_out(attend(q, k, v).transpose(1, 2).flatten(-2))
        x = self.second_norm(x)
        return x + self.feed(x)


def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """softmax(q kᵀ / √d) v for q (b, h, n, d), k and v (b, h, m, d).

    On a CPU in bf16 by plain products: there, PyTorch 2.13's fused kernel takes 2.6
    times as long, forward and backward (2048 points, d = 128).  The table of weights,
    33 MB a cloud, is affordable at a batch of 4.
    """
    if not on_cpu(q) or q.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(q, k, v)
    return (q * q.shape[-1] ** -0.5 @ k.mT).softmax(-1) @ v


class Down(nn.Module):
    """Fewer points, far apart, with twice the channels.

    They attend to all points, then to each other: points (b, n, 3) and features
    (b, n, c) → (b, count, 3) and (b, count, 2c).
    """

    def __init__(self, channels: int, feed: int) -> None:
        super().__init__()
        self.gather = Attention(channels, channels, feed)
        self.among = Attention(2 * channels, 2 * channels, feed)

    def forward(self, points: Tensor, x: Tensor, count: int) -> tuple[Tensor, Tensor]:
        index = farthest_points(points, count)
        kept = take(x, index)
        x = self.among(torch.cat([self.gather(kept, x), kept], -1))
        return take(points, index), x


class Seeds(nn.Module):
    """The coarse cloud (b, 2 · seeds, 3) from the global feature (b, 8 · width)."""

    def __init__(self, width: int, seeds: int, feed: int) -> None:
        super().__init__()
        self.adjust = nn.Linear(8 * width, 8 * width)
        # The published transposed convolution of one point is a linear layer.
        self.spread = nn.Linear(8 * width, seeds * width)
        self.widen = nn.Linear(width, 8 * width)
        self.among = nn.Sequential(
            *(Attention(8 * width, 8 * width, feed) for _ in range(3))
        )
        self.to_points = Float32(*mlp(4 * width, width, 3))
        self.seeds = seeds

    def forward(self, feature: Tensor) -> Tensor:
        x = self.spread(F.relu(self.adjust(feature))).unflatten(-1, (self.seeds, -1))
        x = self.among(F.relu(self.widen(F.relu(x))))
        return self.to_points(x.unflatten(-1, (2, -1)).flatten(1, 2))


class Refine(nn.Module):
    """`ratio` copies of each point (b, n, 3), moved by learned offsets."""

    def __init__(self, width: int, ratio: int, feed: int) -> None:
        super().__init__()
        self.ratio, many = ratio, 2 * width * ratio
        self.coordinates = Float32(*mlp(3, width, 2 * width))
        self.feature = nn.Sequential(*mlp(8 * width, 4 * width, 2 * width))
        self.among = nn.Sequential(
            Attention(4 * width, 8 * width, feed),
            Attention(8 * width, 8 * width, feed),
            Attention(8 * width, many, feed),
        )
        self.expand = nn.Linear(many, many)
        self.join = nn.Linear(4 * width, 2 * width)
        self.offset = Float32(*mlp(2 * width, width, 3))
        for last in self.offset[-1].parameters():
            nn.init.zeros_(last)  # refinement starts from copies

    def forward(self, points: Tensor, feature: Tensor) -> Tensor:
        """The refined cloud; `feature` (b, 8 · width) is the global feature."""
        x = self.coordinates(points)
        around = self.feature(feature)[:, None].expand_as(x)
        split = self.expand(self.among(torch.cat([x, around.to(x.dtype)], -1)))
        split = split.unflatten(-1, (self.ratio, -1)).flatten(1, 2)
        copies = x.repeat_interleave(self.ratio, 1).to(split.dtype)
        x = F.relu(self.join(torch.cat([split, copies], -1)))
        return points.repeat_interleave(self.ratio, 1) + self.offset(x)


class PointAttN(nn.Module):
    """(points) → (coarse, fine1, fine2): a partial cloud completed, in millimetres.

    For n points, the coarse cloud has n/8; together with the input and thinned to n/8,
    it is refined twice, by the two ratios.
    """

    def __init__(self, settings: presets.CompleterConfig) -> None:
        super().__init__()
        width, feed = settings.width, FEED * settings.width
        self.settings = settings
        self.embed = Float32(*mlp(3, width, width))
        self.down = nn.ModuleList(Down(n * width, feed) for n in (1, 2, 4))
        self.seeds = Seeds(width, settings.points // 16, feed)
        self.refine = nn.ModuleList(Refine(width, r, feed) for r in settings.ratios)

    def forward(self, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(b, n, 3) → (b, n/8, 3), (b, n/8 · r_1, 3), (b, n/8 · r_1 · r_2, 3).

        Raises:
            SkfmError: for clouds of another size than `settings.points`, that are not
                finite, or of fewer than n/4 different points.
        """
        count = self.settings.points
        if check_clouds(points, count).shape[1] > count:
            found = f"points has {points.shape[1]} points a cloud"
            raise SkfmError(found, f"{count}, as the network was made for")
        points = points.float() / SCALE
        left, x = points, self.embed(points)
        for down, share in zip(self.down, (4, 8, 16)):
            left, x = down(left, x, count // share)
        feature = x.max(1).values
        coarse = self.seeds(feature)
        both = torch.cat([points, coarse], 1)
        start = take(both, farthest_points(both, count // 8))
        fine1 = self.refine[0](start, feature)
        fine2 = self.refine[1](fine1, feature)
        return coarse * SCALE, fine1 * SCALE, fine2 * SCALE


def mlp(*widths: int) -> list[nn.Module]:
    """Linear layers from each width to the next, with ReLU between them."""
    layers: list[nn.Module] = []
    for before, after in zip(widths, widths[1:]):
        layers += [nn.Linear(before, after), nn.ReLU()]
    return layers[:-1]
