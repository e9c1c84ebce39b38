"""Samplers of the objectives, from noise to data."""

from skfm_lib.samplers.diffusion import ancestral, ddim
from skfm_lib.samplers.flow import euler, heun, midpoint, shortcut

__all__ = ["ancestral", "ddim", "euler", "heun", "midpoint", "shortcut"]
