"""The study's settings at four sizes, and the paper's own numbers."""

from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.presets.settings import (
    AlignerConfig,
    CompleterConfig,
    DataConfig,
    DenoiserConfig,
    Padding,
    SamplingConfig,
    ShortcutConfig,
    TrainingConfig,
    VQVAEConfig,
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
    "VQVAEConfig",
    "AlignerConfig",
    "CompleterConfig",
    "DataConfig",
    "DenoiserConfig",
    "Padding",
    "Preset",
    "SamplingConfig",
    "Shape",
    "ShortcutConfig",
    "TrainingConfig",
    "preset",
]
