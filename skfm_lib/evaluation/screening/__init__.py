"""Which generated skulls are usable: the paper's Table 9, by number.

A judge says which quality score a skull shows; fourteen measures say whether it is
a skull as the real ones of that score are.  Limits are set on training skulls by
cross-fitting, and tried on held-out ones.
"""

from skfm_lib.evaluation.screening.measures import MEASURES, Findings, Skulls, examine
from skfm_lib.evaluation.screening.reconstructed import Reconstructed
from skfm_lib.evaluation.screening.reference_ranges import (
    NAMES,
    SkullNorm,
    Verdicts,
    fit_norm,
)
from skfm_lib.evaluation.screening.score_classifier import (
    ScoreNet,
    shown_scores,
    train_score_classifier,
)

__all__ = [
    "MEASURES",
    "NAMES",
    "Findings",
    "Reconstructed",
    "ScoreNet",
    "SkullNorm",
    "Skulls",
    "Verdicts",
    "examine",
    "fit_norm",
    "shown_scores",
    "train_score_classifier",
]
