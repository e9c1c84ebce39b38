"""Training objectives: a path from data to noise, and the target to predict on it."""

from skfm_lib.losses import ddpm, otfm, shortcut

__all__ = ["ddpm", "otfm", "shortcut"]
