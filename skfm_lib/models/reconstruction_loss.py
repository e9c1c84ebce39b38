"""Losses between volumes and what the VQ-VAE's decoder makes of them.

Volumes v (b, 1, D, H, W) are in [−1, 1], bone above 0.  Each loss is a mean over all
voxels or, with a surface weight λ, the mean over a volume's voxels weighted by 1 + λ
`near_surface` and by 1 elsewhere.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional as F

PLANES = ((1, 3, 3), (3, 1, 3), (3, 3, 1))


def l1(
    v_hat: Float[Tensor, "b 1 D H W"],
    v: Float[Tensor, "b 1 D H W"],
    forgive_overshoot: bool = False,
    surface: float = 0.0,
) -> Float[Tensor, ""]:
    """Mean ``|v̂ − v|``; `forgive_overshoot` forgives values beyond v = ±1.

    Between coarse voxels, the trilinear head can form a sharp surface only by such
    values; plain L1 (the paper's) therefore prefers a blurred or missing wall.  On the
    wrong side of the surface they keep error and gradient.
    """
    error = (v_hat - v).abs()
    if forgive_overshoot:
        right = (v.abs() == 1) & (v_hat * v > 1)
        error = error.masked_fill(right, 0.0)
    return _mean(error, v, surface)


def bce_dice(
    logits: Float[Tensor, "b 1 D H W"],
    v: Float[Tensor, "b 1 D H W"],
    surface: float = 0.0,
) -> Float[Tensor, ""]:
    """Binary cross-entropy and soft Dice loss of grey targets o = (v + 1)/2.

    With p = σ(l) of the logits l,
    mean BCE(p, o) + 1 − (2 Σ p o + 1)/(Σ p + Σ o + 1).  Sums are over a volume; the
    losses of a batch are averaged.  Both terms are finite for any logit and for an
    empty volume.  The cross-entropy is smallest at p = o, where it is the entropy of o.
    The Dice loss of grey voxels is not: it favours p near 0 or 1.
    """
    o, p = (v + 1) / 2, logits.sigmoid()
    error = F.binary_cross_entropy_with_logits(logits, o, reduction="none")
    overlap = (2 * _sums(p * o) + 1) / (_sums(p + o) + 1)
    return _mean(error, v, surface) + (1 - overlap).mean()


def near_surface(v: Float[Tensor, "b 1 D H W"]) -> Bool[Tensor, "b 1 D H W"]:
    """Voxels with one on the other side of 0 within 1.5 voxels, centre to centre.

    These are the neighbours in a 3³ block without its corners (√3 voxels away), which
    three pools over planes cover.
    """
    bone = (v > 0).to(v.dtype)
    return (_dilated(bone) > 0) & (_dilated(1 - bone) > 0)


def _dilated(x: Tensor) -> Tensor:
    """The maximum over the 3³ block of each voxel, without the block's corners."""
    pools = [
        F.max_pool3d(x, plane, 1, tuple(n // 2 for n in plane)) for plane in PLANES
    ]
    return torch.stack(pools).amax(0)


def _mean(error: Tensor, v: Tensor, surface: float) -> Tensor:
    if not surface:
        return error.mean()
    weight = 1 + surface * near_surface(v)
    return (_sums(weight * error) / _sums(weight)).mean()


def _sums(x: Tensor) -> Tensor:
    """The sum (b,) of each volume."""
    return x.flatten(1).sum(1)
