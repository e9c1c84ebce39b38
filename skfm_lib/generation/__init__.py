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
from skfm_lib.generation.preview import Preview
from skfm_lib.generation.set_writer import (
    RECORD,
    VOLUME,
    Outcome,
    Screening,
    sample_seed,
)
from skfm_lib.generation.skull_sets import (
    IncompleteSet,
    generate_skulls,
    mix_of,
    summary,
)
from skfm_lib.samplers import Sampler

__all__ = [
    "FEW_STEPS",
    "LABELS",
    "RECORD",
    "SHORTCUT_STEPS",
    "STAGES",
    "VOLUME",
    "IncompleteSet",
    "Outcome",
    "Preview",
    "Sampler",
    "Screening",
    "SkullGenerator",
    "generate_skulls",
    "generator_of",
    "guided_by",
    "load_generator",
    "mix_of",
    "sample_seed",
    "summary",
    "trained_models",
    "usual_sampler",
]
