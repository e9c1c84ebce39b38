"""Comparison of two sets of feature vectors: distances, and realism and diversity.

The functions take features (n, d) and (m, d) and compute in float64: float32 statistics
are about 1 % off at n = 726, d = 2048.  They raise SkfmError for other numbers of axes,
different d, fewer than two vectors, or NaN and infinity; those with a neighbour count
`k`, also for k outside 1 … n−1.  With k between two whole numbers, a distance to the
k-th neighbour is interpolated between those to both.
"""

import math
import warnings

import numpy as np
import torch

from skfm_lib.utils.errors import SkfmError

Features = torch.Tensor | np.ndarray


class FewSamples(UserWarning):
    """A set has fewer samples than dimensions."""


def frechet_distance(a: Features, b: Features) -> float:
    """Fréchet distance of the Gaussians fitted to `a` and `b` (Table 1).

    ``‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2 tr (Σ_a Σ_b)^½`` (Heusel et al. 2017).  With A
    the centred rows of `a` divided by √(n−1), and B likewise, Σ_a = AᵀA and the last
    trace is the nuclear norm of ABᵀ: exact for singular covariances too, without a
    matrix root and without a small constant on the diagonal, which would dominate
    values as small as the paper's.

    The estimate is biased upwards, the more so the smaller n is relative to d: compare
    values at equal n only.  Issues the warning `FewSamples` for n < d.

    >>> x = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(frechet_distance(x, x + 2), 6)  # 3 · 2²
    12.0
    """
    a, b = feature_pair(a, b)
    fewest, width = min(len(a), len(b)), a.shape[1]
    if fewest < width:
        warnings.warn(
            f"{fewest} samples for {width} features: the covariance is rank-deficient"
            " and the Fréchet distance biased upwards; compare it at equal n only,"
            " and see the kernel distance as well",
            FewSamples,
            stacklevel=2,
        )
    gap = a.mean(axis=0) - b.mean(axis=0)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = gap @ gap + np.sum(root_a**2) + np.sum(root_b**2) - 2 * overlap
    return max(float(distance), 0.0)  # negative by round-off only


def improved_precision_recall(
    real: Features, fake: Features, k: float = 3
) -> tuple[float, float]:
    """Improved precision and recall (Kynkäänniemi et al. 2019; IP, IR of Table 1).

    Precision is the share of `fake` strictly inside any real ball, recall the share of
    `real` strictly inside any fake ball; the radius of a sample's ball is the distance
    to its k-th nearest neighbour in its own set (k = 3 in that paper).
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    apart = _distances(real, fake)
    in_real_ball = apart < _neighbour_distance(real, k)[:, None]
    in_fake_ball = apart < _neighbour_distance(fake, k)[None, :]
    precision, recall = in_real_ball.any(axis=0).mean(), in_fake_ball.any(axis=1).mean()
    return float(precision), float(recall)


def density_coverage(
    real: Features, fake: Features, k: float = 5
) -> tuple[float, float]:
    """Density and coverage (Naeem et al. 2020), k = 5 as there.

    Density is the mean number of real balls that contain a fake sample, over k (it may
    exceed 1); coverage the share of real balls that contain a fake sample.  One outlier
    among the real samples has less influence than in improved precision.
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    inside = _distances(real, fake) < _neighbour_distance(real, k)[:, None]
    return float(inside.sum(axis=0).mean() / k), float(inside.any(axis=1).mean())


def probabilistic_precision_recall(
    real: Features, fake: Features, k: float = 4, a: float = 1.2
) -> tuple[float, float]:
    """Probabilistic precision and recall (Park & Kim 2023; PP, PR of Table 1).

    With one radius a set, R = a · mean distance to the k-th neighbour, a sample at
    distance δ from another belongs to its set with probability max(0, 1 − δ/R).  The
    score of a sample is the probability that it belongs to any of the other set's
    samples; precision averages it over `fake`, recall over `real`.  k = 4 and a = 1.2
    as in that paper.
    """
    real, fake = feature_pair(real, fake, ("real", "fake"))
    apart = _distances(real, fake)
    miss_real = 1 - _membership(apart, a * _neighbour_distance(real, k).mean())
    miss_fake = 1 - _membership(apart, a * _neighbour_distance(fake, k).mean())
    precision = 1 - miss_real.prod(axis=0)
    recall = 1 - miss_fake.prod(axis=1)
    return float(precision.mean()), float(recall.mean())


def float64(values: Features) -> np.ndarray:
    """A tensor or array of any device and type as a contiguous float64 array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def _covariance_root(x: np.ndarray) -> np.ndarray:
    """R of at most d rows, where RᵀR is the covariance of the rows of `x`."""
    centred = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    tall = len(centred) > centred.shape[1]
    return np.asarray(np.linalg.qr(centred, mode="r")) if tall else centred


def _membership(distance: np.ndarray, radius: float) -> np.ndarray:
    """max(0, 1 − δ/R), and 0 for a collapsed set, where R = 0."""
    return np.maximum(radius - distance, 0) / max(radius, np.finfo(float).tiny)


def _distances(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Euclidean distances (n, m), by differences: those of equal rows are exactly 0."""
    pair = torch.from_numpy(x), torch.from_numpy(y)
    return torch.cdist(*pair, compute_mode="donot_use_mm_for_euclid_dist").numpy()


def _neighbour_distance(x: np.ndarray, k: float) -> np.ndarray:
    """Distance (n,) of each row to its k-th nearest other row."""
    if not 1 <= k < len(x):
        raise SkfmError(
            f"k = {k:g} neighbours in a set of {len(x)}",
            f"1 ≤ k ≤ {len(x) - 1}",
            "lower k or add samples",
        )
    apart = _distances(x, x)
    np.fill_diagonal(apart, np.inf)
    nearer, farther = math.floor(k) - 1, math.ceil(k) - 1
    apart.partition((nearer, farther), axis=1)
    return apart[:, nearer] + (k % 1) * (apart[:, farther] - apart[:, nearer])


def feature_pair(
    a: Features, b: Features, names: tuple[str, str] = ("a", "b")
) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of features as float64 matrices (n, d) and (m, d), checked."""
    first, second = (_matrix(x, name) for x, name in zip((a, b), names))
    if first.shape[1] != second.shape[1]:
        raise SkfmError(
            f"{names[0]} has {first.shape[1]} features and {names[1]} "
            f"{second.shape[1]}",
            "the same feature network for both sets",
            "extract both again with one network",
        )
    return first, second


def _matrix(features: Features, name: str) -> np.ndarray:
    matrix = float64(features)
    if matrix.ndim != 2 or len(matrix) < 2:
        raise SkfmError(
            f"{name} has shape {matrix.shape}",
            "(n, d) with n ≥ 2, one feature vector a row",
            "take the vectors of more samples from skfm_lib.metrics.extract",
        )
    finite = np.isfinite(matrix).all(axis=1)
    if not finite.all():
        raise SkfmError(
            f"{name}: row {np.argmin(finite)} holds NaN or infinity",
            "finite features",
            "check that volume and the weights of the feature network",
        )
    return matrix
