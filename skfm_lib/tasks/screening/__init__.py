"""Which generated skulls are usable: the paper's Table 9, by number.

A judge says which quality score a skull shows; fourteen measures say whether it is
a skull as the real ones of that score are.  Limits are set on training skulls by
cross-fitting, and tried on held-out ones.
"""

from skfm_lib.tasks.screening.examine import MEASURES, Findings, Skulls, examine
from skfm_lib.tasks.screening.judge import ScoreNet, shown_scores, train_judge
from skfm_lib.tasks.screening.norm import NAMES, SkullNorm, Verdicts, fit_norm
from skfm_lib.tasks.screening.reconstructed import Reconstructed

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
    "train_judge",
]
