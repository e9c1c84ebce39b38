"""Damage done to volumes on purpose, for the feature network to learn to see."""

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("noise", "smoothing", "hole")
NOISE = 0.03  # largest share of voxels flipped
HOLE = 0.25  # largest side of a hole, as a share of the volume's side


def damaged(v: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Binary volumes `v` (n, 1, D, H, W) of −1 and +1, most damaged, and by how much.

    The first quarter stays whole, each other quarter suffers one of `KINDS` with
    strengths from U(0, 1), returned as (n, 3), 0 where unhurt; n is 4 or more, in
    random order.  `rng` is a CPU generator.
    """
    whole, *quarters = v.tensor_split(len(KINDS) + 1)
    items, amounts = [whole], [torch.zeros(len(whole), len(KINDS))]
    for kind, part in enumerate(quarters):
        strengths = torch.rand(len(part), generator=rng)
        items.append((_noise, _smoothing, _hole)[kind](part, strengths, rng))
        amounts.append(torch.zeros(len(part), len(KINDS)))
        amounts[-1][:, kind] = strengths
    return torch.cat(items), torch.cat(amounts)


def _noise(v: Tensor, strengths: Tensor, rng: torch.Generator) -> Tensor:
    """Flip voxels; the square spends more of the draws on faint noise."""
    share = NOISE * strengths.view(-1, 1, 1, 1, 1) ** 2
    return torch.where(torch.rand(v.shape, generator=rng) < share, -v, v)


def _smoothing(v: Tensor, strengths: Tensor, rng: torch.Generator) -> Tensor:
    """Threshold a blend of `v` with its 3³ mean; from one half on it changes voxels."""
    mean = F.avg_pool3d(v, 3, stride=1, padding=1, count_include_pad=False)
    share = 0.5 + strengths.view(-1, 1, 1, 1, 1) / 2
    return torch.where((1 - share) * v + share * mean > 0, 1.0, -1.0)


def _hole(v: Tensor, strengths: Tensor, rng: torch.Generator) -> Tensor:
    """Empty a box around a bone voxel of each item."""
    v = v.clone()
    for item, strength in zip(v, strengths.tolist()):
        bone = (item[0] > 0).nonzero()
        if len(bone):
            centre = bone[torch.randint(len(bone), (1,), generator=rng)][0].tolist()
            reach = [max(1, round(HOLE * strength * n / 2)) for n in item.shape[1:]]
            box = [slice(max(0, c - r), c + r) for c, r in zip(centre, reach)]
            item[0][tuple(box)] = -1
    return v
