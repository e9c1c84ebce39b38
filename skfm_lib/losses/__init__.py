"""The two objectives: each gives a path from data to noise and what to predict."""

from skfm_lib.losses import ddpm, otfm

__all__ = ["ddpm", "otfm"]
