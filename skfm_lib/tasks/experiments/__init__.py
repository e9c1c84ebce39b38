"""The value of synthetic skulls in training: both tasks on real and mixed sets."""

from skfm_lib.tasks.alignment import ALIGNMENT
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.tasks.experiments import (
    assay,
    claim_tables,
    learning_curve,
    statistics,
    tables,
)
from skfm_lib.tasks.experiments.grid import chosen_grid, planned_grid
from skfm_lib.tasks.experiments.mixes import MIXES, Mix
from skfm_lib.tasks.experiments.plan import PLANS
from skfm_lib.tasks.experiments.runs import Experiments, closest_points, open_stage
from skfm_lib.tasks.experiments.skull_pool import SkullPool, composition, gather
from skfm_lib.tasks.experiments.training_sets import training_set

__all__ = [
    "ALIGNMENT",
    "COMPLETION",
    "MIXES",
    "PLANS",
    "Experiments",
    "Mix",
    "SkullPool",
    "assay",
    "chosen_grid",
    "claim_tables",
    "closest_points",
    "composition",
    "gather",
    "learning_curve",
    "open_stage",
    "planned_grid",
    "statistics",
    "tables",
    "training_set",
]
