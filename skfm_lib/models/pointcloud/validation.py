"""Validation of point clouds, for all operations on them."""

import torch
from torch import Tensor

from skfm_lib.utils.errors import SkfmError


def check_clouds(points: Tensor, fewest: int = 1, name: str = "points") -> Tensor:
    """`points`, if they are finite floats of shape (batch, n, 3) with n ≥ `fewest`.

    Raises:
        SkfmError: otherwise; `name` is the name of the points in the message.
    """
    shape = tuple(points.shape)
    if len(shape) != 3 or shape[-1] != 3 or not shape[0]:
        raise SkfmError(
            f"{name} has shape {shape}", "(batch, n, 3)", "stack clouds of n points"
        )
    if not points.is_floating_point():
        raise SkfmError(f"{name} is {points.dtype}", "float32 coordinates in mm")
    if shape[1] < fewest:
        raise SkfmError(
            f"{name} has {shape[1]} points a cloud",
            f"at least {fewest}",
            "sample more points from the surface",
        )
    finite = torch.isfinite(points).all(-1)
    if not finite.all():
        cloud, point = (~finite).nonzero()[0].tolist()
        raise SkfmError(
            f"{name}: point {point} of cloud {cloud} holds NaN or infinity",
            "finite coordinates in mm",
            "look at the scan or mesh that the cloud was sampled from",
        )
    return points
