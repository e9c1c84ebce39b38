"""Clouds of control sets: mirrored, and blurred."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.utils.seeding import generator

BLUR = 10.0  # mm, standard deviation of a point's displacement in each direction


def mirror(clouds: CloudSet, which: Sequence[bool]) -> CloudSet:
    """Clouds of which some are mirrored at x = 0, the midsagittal plane."""
    if not any(which):
        return clouds
    signs = torch.ones(len(clouds), 1, 3, dtype=clouds.points.dtype)
    signs[list(which), :, 0] = -1
    return replace(clouds, points=clouds.points * signs)


def blur(clouds: CloudSet, seed: int) -> CloudSet:
    """Clouds of the surfaces' densities convolved with a normal kernel of BLUR."""
    rng = generator(seed, "blur")
    noise = torch.randn(clouds.points.shape, generator=rng)
    points = clouds.points.float() + BLUR * noise
    return replace(clouds, points=points.to(clouds.points.dtype))
