"""Samplers of the objectives, from noise to data."""

from skfm_lib.samplers.diffusion import ancestral, ddim
from skfm_lib.samplers.flow import euler, heun, midpoint, shortcut
from skfm_lib.samplers.sampler import COSTS, METHODS, Sampler

__all__ = [
    "COSTS",
    "METHODS",
    "Sampler",
    "ancestral",
    "ddim",
    "euler",
    "heun",
    "midpoint",
    "shortcut",
]
