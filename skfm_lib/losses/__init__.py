"""The objectives: each gives a path from data to noise and what to predict."""

from skfm_lib.losses import ddpm, otfm, shortcut

__all__ = ["ddpm", "otfm", "shortcut"]
