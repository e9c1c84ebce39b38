"""Quality, diversity and novelty of generated skulls, with confidence intervals."""

from skfm_lib.metrics.confidence import (
    Interval,
    Share,
    bootstrap,
    bounded,
    difference,
    pair_mean,
    paired_difference,
    share,
    squared_distance,
)
from skfm_lib.metrics.distributions import (
    FewSamples,
    density_coverage,
    frechet_distance,
    improved_precision_recall,
    probabilistic_precision_recall,
)
from skfm_lib.metrics.feature_extraction import extract
from skfm_lib.metrics.implants import ImplantScores, implant_scores
from skfm_lib.metrics.kernel import kernel_distance
from skfm_lib.metrics.reconstruction import (
    Chamfer,
    chamfer,
    dice,
    reconstruction_error,
    surface_distances,
)
from skfm_lib.metrics.structural_similarity import (
    fitting,
    largest_window,
    ms_ssim,
    ms_ssim_fork,
    ms_ssim_of_set,
    random_pairs,
)
from skfm_lib.metrics.subsampling import Draws, deal_draws

__all__ = [
    "Chamfer",
    "Draws",
    "FewSamples",
    "ImplantScores",
    "Interval",
    "Share",
    "bootstrap",
    "bounded",
    "chamfer",
    "deal_draws",
    "density_coverage",
    "dice",
    "difference",
    "extract",
    "fitting",
    "frechet_distance",
    "implant_scores",
    "improved_precision_recall",
    "kernel_distance",
    "largest_window",
    "ms_ssim",
    "ms_ssim_fork",
    "ms_ssim_of_set",
    "pair_mean",
    "paired_difference",
    "probabilistic_precision_recall",
    "random_pairs",
    "reconstruction_error",
    "share",
    "squared_distance",
    "surface_distances",
]
