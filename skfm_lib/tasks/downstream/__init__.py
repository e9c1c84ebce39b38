"""What synthetic skulls are worth in use: both tasks on real and mixed sets (§4.3)."""

from skfm_lib.tasks.downstream.baseline import closest_points
from skfm_lib.tasks.downstream.grid import ALIGNMENT, COMPLETION, Experiments
from skfm_lib.tasks.downstream.judging import (
    CLAIMS,
    Answer,
    Claim,
    answers,
    contrast,
)
from skfm_lib.tasks.downstream.material import Material, composition, gather, stages_of
from skfm_lib.tasks.downstream.mixing import MIXES, Mix, training_set
from skfm_lib.tasks.downstream.showing import (
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

__all__ = [
    "ALIGNMENT",
    "Answer",
    "CLAIMS",
    "COMPLETION",
    "Claim",
    "Experiments",
    "MIXES",
    "Material",
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
