"""Realism and diversity told apart, by nearest neighbours in feature space.

Every function takes features `real` (n, d) and `fake` (m, d), compares Euclidean
distances in float64 and raises SkfmError for k outside 1 … n−1.
"""

import numpy as np
import torch

from skfm_lib.metrics.validation import Features, feature_pair
from skfm_lib.utils.errors import SkfmError


def improved_precision_recall(
    real: Features, fake: Features, k: int = 3
) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019; IP, IR of Table 1).

    Precision is the share of `fake` strictly inside any real ball, recall the
    share of `real` strictly inside any fake ball; the ball of a sample reaches to
    its k-th nearest neighbour in its own set (k = 3 in that paper).
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    apart = _distances(real, fake)
    in_real_ball = apart < _neighbour_distance(real, k)[:, None]
    in_fake_ball = apart < _neighbour_distance(fake, k)[None, :]
    precision, recall = in_real_ball.any(axis=0).mean(), in_fake_ball.any(axis=1).mean()
    return float(precision), float(recall)


def density_coverage(real: Features, fake: Features, k: int = 5) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020), k = 5 as there.

    Density is the number of real balls a fake sample lies in, over k, on average
    (it may exceed 1); coverage the share of real balls that hold a fake sample.
    One outlier among the real samples weighs less than in improved precision.
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    inside = _distances(real, fake) < _neighbour_distance(real, k)[:, None]
    return float(inside.sum(axis=0).mean() / k), float(inside.any(axis=1).mean())


def probabilistic_precision_recall(
    real: Features, fake: Features, k: int = 4, a: float = 1.2
) -> tuple[float, float]:
    """Probabilistic precision and recall (Park & Kim 2023; PP, PR of Table 1).

    One radius a set, R = a · mean distance to the k-th neighbour; a sample at
    distance δ from another belongs to its set with probability max(0, 1 − δ/R).
    The score of a sample is the probability that it belongs to any of the other
    set's samples; precision averages it over `fake`, recall over `real`.
    k = 4 and a = 1.2 as in that paper.
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    apart = _distances(real, fake)
    miss_real = 1 - _membership(apart, a * _neighbour_distance(real, k).mean())
    miss_fake = 1 - _membership(apart, a * _neighbour_distance(fake, k).mean())
    precision = 1 - miss_real.prod(axis=0)
    recall = 1 - miss_fake.prod(axis=1)
    return float(precision.mean()), float(recall.mean())


def _membership(distance: np.ndarray, radius: float) -> np.ndarray:
    """max(0, 1 − δ/R), and 0 throughout where a collapsed set has R = 0."""
    return np.maximum(radius - distance, 0) / max(radius, np.finfo(float).tiny)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, m), by differences: equal rows are exactly 0 apart."""
    pair = torch.from_numpy(x), torch.from_numpy(y)
    return torch.cdist(*pair, compute_mode="donot_use_mm_for_euclid_dist").numpy()


def _neighbour_distance(x: np.ndarray, k: int) -> np.ndarray:
    """Distance of each row to its k-th nearest other row, (n,)."""
    if not 1 <= k < len(x):
        raise SkfmError(
            f"k = {k} neighbours in a set of {len(x)}",
            f"1 ≤ k ≤ {len(x) - 1}",
            "lower k or add samples",
        )
    apart = _distances(x, x)
    np.fill_diagonal(apart, np.inf)
    return np.partition(apart, k - 1, axis=1)[:, k - 1]
