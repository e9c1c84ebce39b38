"""Screening of generated skulls: the paper's Table 9 by numeric criteria.

A classifier predicts the quality score of each skull, and fourteen measures are
compared with the range of the real skulls of that score.  Limits are set on training
skulls by cross-fitting, frozen in a file for the phantoms, and tested on held-out
skulls and by planted damage.
"""

from skfm_lib.evaluation.screening.frozen_limits import study_ranges
from skfm_lib.evaluation.screening.measures import Reconstructed, measure_skulls
from skfm_lib.evaluation.screening.planted_damage import damaged_sets
from skfm_lib.evaluation.screening.reference_ranges import fit_ranges
from skfm_lib.evaluation.screening.score_classifier import (
    predict_scores,
    train_score_classifier,
)

__all__ = [
    "Reconstructed",
    "damaged_sets",
    "fit_ranges",
    "measure_skulls",
    "predict_scores",
    "study_ranges",
    "train_score_classifier",
]
