"""What synthetic skulls are worth in use: both tasks on real and mixed sets (§4.3)."""

from skfm_lib.tasks.experiments.icp_errors import closest_points
from skfm_lib.tasks.experiments.runs import ALIGNMENT, COMPLETION, Experiments
from skfm_lib.tasks.experiments.skull_pool import (
    SkullPool,
    composition,
    gather,
    stages_of,
)
from skfm_lib.tasks.experiments.statistics import (
    CLAIMS,
    Answer,
    Claim,
    answers,
    contrast,
)
from skfm_lib.tasks.experiments.tables import (
    PAPER_ALIGNMENT,
    PAPER_COMPLETION,
    against,
    by_quality,
    columns_by_quality,
    comparison,
    means,
    over_seeds,
    verdicts,
    ways,
)
from skfm_lib.tasks.experiments.training_sets import MIXES, Mix, training_set

__all__ = [
    "ALIGNMENT",
    "Answer",
    "CLAIMS",
    "COMPLETION",
    "Claim",
    "Experiments",
    "MIXES",
    "SkullPool",
    "Mix",
    "PAPER_ALIGNMENT",
    "PAPER_COMPLETION",
    "against",
    "answers",
    "by_quality",
    "closest_points",
    "columns_by_quality",
    "comparison",
    "composition",
    "contrast",
    "gather",
    "means",
    "over_seeds",
    "stages_of",
    "training_set",
    "verdicts",
    "ways",
]
