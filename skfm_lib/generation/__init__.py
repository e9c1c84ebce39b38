"""Generate skulls from seeds and quality scores: volumes, and data sets of them."""

from skfm_lib.generation.generator import SHORTCUT_STEPS, SkullGenerator
from skfm_lib.generation.models import (
    FEW_STEPS,
    LABELS,
    STAGES,
    generator_of,
    guided_by,
    load_generator,
    trained_models,
    usual_sampler,
)
from skfm_lib.generation.skull_sets import VOLUME, generate_skulls, mix_of
from skfm_lib.samplers import Sampler

__all__ = [
    "FEW_STEPS",
    "LABELS",
    "SHORTCUT_STEPS",
    "STAGES",
    "VOLUME",
    "Sampler",
    "SkullGenerator",
    "generate_skulls",
    "generator_of",
    "guided_by",
    "load_generator",
    "mix_of",
    "trained_models",
    "usual_sampler",
]
