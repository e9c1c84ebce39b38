"""Samplers of the objectives, from noise to data."""

from skfm_lib.samplers.diffusion import ancestral, ddim
from skfm_lib.samplers.flow import euler, heun, midpoint, shortcut

__all__ = [
    "COSTS",
    "METHODS",
    "ancestral",
    "ddim",
    "euler",
    "heun",
    "midpoint",
    "shortcut",
]

METHODS = {  # of each model; the first is the paper's
    "otfm": ("euler", "midpoint", "heun"),
    "ddpm": ("ancestral", "ddim"),
    "shortcut": ("shortcut",),
}
COSTS = {"midpoint": 2, "heun": 2}  # evaluations per step; one for all others
