"""The study's settings at four sizes, and the paper's own numbers."""

from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.presets.settings import (
    VQVAE,
    Aligner,
    Completer,
    Data,
    Denoiser,
    Sampling,
    Shortcut,
    Training,
)
from skfm_lib.presets.table import (
    NAMES,
    NO_LABEL,
    QUALITY_SCORES,
    TABLE,
    Preset,
    preset,
)

__all__ = [
    "NAMES",
    "NO_LABEL",
    "QUALITY_SCORES",
    "TABLE",
    "VQVAE",
    "Aligner",
    "Completer",
    "Data",
    "Denoiser",
    "Preset",
    "Sampling",
    "Shape",
    "Shortcut",
    "Training",
    "preset",
]
