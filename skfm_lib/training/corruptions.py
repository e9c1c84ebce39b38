"""Artificial corruptions of volumes, which the feature network learns to recognise."""

import torch
import torch.nn.functional as F
from torch import Tensor

KINDS = ("noise", "smoothing", "hole")
NOISE = 0.03  # largest share of voxels flipped
HOLE = 0.25  # largest side of a hole, as a share of the volume's side


def damaged(v: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
    """Volumes v, most of them corrupted, and the strengths (n, 3) of `KINDS`.

    The first quarter of `v` (n, 1, D, H, W), n ≥ 4, stays intact; each other quarter is
    corrupted by one kind, with strengths from U(0, 1).  `rng` is a CPU generator.
    """
    intact, *quarters = v.tensor_split(len(KINDS) + 1)
    items, strengths = [intact], [torch.zeros(len(intact), len(KINDS))]
    for kind, part in enumerate(quarters):
        strengths.append(torch.zeros(len(part), len(KINDS)))
        strengths[-1][:, kind] = drawn = torch.rand(len(part), generator=rng)
        items.append((_noise, _smoothing, _hole)[kind](part, drawn, rng))
    return torch.cat(items), torch.cat(strengths)


def _noise(v: Tensor, strengths: Tensor, rng: torch.Generator) -> Tensor:
    """Flip voxels; the square makes faint noise more frequent than strong noise."""
    share = NOISE * strengths.view(-1, 1, 1, 1, 1) ** 2
    return torch.where(torch.rand(v.shape, generator=rng) < share, -v, v)


def _smoothing(v: Tensor, strengths: Tensor, rng: torch.Generator) -> Tensor:
    """Blend `v` with its 3³ mean, whose weight is at least one half; bits stay bits.

    A smaller weight would change no bit.
    """
    mean = F.avg_pool3d(v, 3, stride=1, padding=1, count_include_pad=False)
    blend = torch.lerp(v, mean, 0.5 + strengths.view(-1, 1, 1, 1, 1) / 2)
    bits = bool((v.abs() == 1).all())
    return torch.where(blend > 0, 1.0, -1.0) if bits else blend


def _hole(v: Tensor, strengths: Tensor, rng: torch.Generator) -> Tensor:
    """Empty a box around a random bone voxel of each item."""
    v = v.clone()
    for item, strength in zip(v, strengths.tolist()):
        bone = (item[0] > 0).nonzero()
        if len(bone):
            centre = bone[torch.randint(len(bone), (1,), generator=rng)][0].tolist()
            reach = [max(1, round(HOLE * strength * n / 2)) for n in item.shape[1:]]
            box = [slice(max(0, c - r), c + r) for c, r in zip(centre, reach)]
            item[0][tuple(box)] = -1
    return v
