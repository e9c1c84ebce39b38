"""Trilinear resampling of volumes, aligned at the edges of the grid."""

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.device import on_cpu

Weights = Callable[[int, int, Tensor], Tensor]


def resample(v: Float[Tensor, "b c D H W"], shape: Shape) -> Float[Tensor, "b c d h w"]:
    """The volumes on a grid of `shape`; millimetres are kept.

    `F.interpolate` without `align_corners`.  On a GPU its gradient is not reproducible
    and, made so, does not fit: there as one matrix product an axis.
    """
    if on_cpu(v):
        return F.interpolate(v, shape, mode="trilinear", align_corners=False)
    return by_products(v, shape, linear_weights)


def pool(v: Float[Tensor, "b c D H W"], shape: Shape) -> Float[Tensor, "b c d h w"]:
    """Means over a grid of `shape`, as of `F.adaptive_avg_pool3d`; reproducible."""
    if on_cpu(v):
        return F.adaptive_avg_pool3d(v, shape)
    return by_products(v, shape, mean_weights)


def by_products(v: Tensor, shape: Shape, weights: Weights) -> Tensor:
    """A product with the `weights` of each axis."""
    pairs = zip(v.shape[-3:], shape)
    depth, height, width = (weights(*pair, v) for pair in pairs)
    with torch.autocast(v.device.type, enabled=False):
        plane = v.shape[-2:]
        v = (depth @ v.flatten(3)).unflatten(3, plane)
        return height @ v @ width.mT


def linear_weights(n: int, m: int, like: Tensor) -> Float[Tensor, "{m} {n}"]:
    """The matrix that interpolates n values linearly to m.

    >>> linear_weights(2, 4, torch.zeros(()))[:, 0].tolist()
    [1.0, 0.75, 0.25, 0.0]
    """
    source = (torch.arange(m, device=like.device, dtype=torch.float64) + 0.5) * (n / m)
    source = (source - 0.5).clamp(0, n - 1)
    at = torch.arange(n, device=like.device, dtype=torch.float64)
    return (1 - (source[:, None] - at).abs()).clamp(min=0).to(like.dtype)


def mean_weights(n: int, m: int, like: Tensor) -> Float[Tensor, "{m} {n}"]:
    """The matrix that averages n values over m bins, which may overlap by one.

    >>> mean_weights(3, 2, torch.zeros(())).tolist()
    [[0.5, 0.5, 0.0], [0.0, 0.5, 0.5]]
    """
    bins = torch.arange(m, device=like.device)[:, None]
    at = torch.arange(n, device=like.device)
    inside = (at >= bins * n // m) & (at < -(-(bins + 1) * n // m))
    inside = inside.double()  # a quotient of integers would be of float32
    return (inside / inside.sum(1, keepdim=True)).to(like.dtype)
