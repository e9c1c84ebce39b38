"""How good, how varied and how new the generated skulls are."""

from skfm_lib.metrics.chamfer_distance import Chamfer, chamfer
from skfm_lib.metrics.confidence import (
    Draws,
    Interval,
    Share,
    bootstrap,
    difference,
    half_draws,
    half_sampling,
    pair_mean,
    share,
)
from skfm_lib.metrics.feature_extraction import extract
from skfm_lib.metrics.frechet import FewSamples, frechet_distance, kernel_distance
from skfm_lib.metrics.precision_recall import (
    density_coverage,
    improved_precision_recall,
    probabilistic_precision_recall,
)
from skfm_lib.metrics.reconstruction import (
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

__all__ = [
    "Chamfer",
    "Draws",
    "FewSamples",
    "Interval",
    "Share",
    "bootstrap",
    "chamfer",
    "density_coverage",
    "dice",
    "difference",
    "extract",
    "fitting",
    "frechet_distance",
    "half_draws",
    "half_sampling",
    "improved_precision_recall",
    "kernel_distance",
    "largest_window",
    "ms_ssim",
    "ms_ssim_fork",
    "ms_ssim_of_set",
    "pair_mean",
    "probabilistic_precision_recall",
    "random_pairs",
    "reconstruction_error",
    "share",
    "surface_distances",
]
