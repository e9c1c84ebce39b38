"""Quality, diversity and novelty of generated skulls, with confidence intervals."""

from skfm_lib.metrics.confidence import (
    Draws,
    Interval,
    Share,
    bootstrap,
    difference,
    half_draws,
    pair_mean,
    share,
)
from skfm_lib.metrics.distributions import (
    FewSamples,
    density_coverage,
    frechet_distance,
    improved_precision_recall,
    kernel_distance,
    probabilistic_precision_recall,
)
from skfm_lib.metrics.feature_extraction import extract
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
