"""Distances between two sets of feature vectors as distributions."""

import warnings

import numpy as np

from skfm_lib.metrics.validation import Features, feature_pair


class FewSamples(UserWarning):
    """A set has fewer samples than dimensions."""


def frechet_distance(a: Features, b: Features) -> float:
    """Fréchet distance of the Gaussians fitted to `a` (n, d) and `b` (m, d).

    ‖μ_a − μ_b‖² + tr Σ_a + tr Σ_b − 2 tr (Σ_a Σ_b)^½ (Heusel et al. 2017; the
    paper's Table 1).  With A the centred rows of `a` divided by √(n−1), and B
    likewise, Σ_a = AᵀA and the last trace is the nuclear norm of A Bᵀ: exact for
    singular covariances too, without a matrix root and without a small number
    on the diagonal, which would drown values of the size of the paper's.

    The estimate is biased upwards, the more so the smaller the sets are against
    d: compare values at equal n only.  Warns (`FewSamples`) where n < d; raises
    SkfmError as `feature_matrix` does.
    """
    a, b = feature_pair(a, b)
    fewest, width = min(len(a), len(b)), a.shape[1]
    if fewest < width:
        warnings.warn(
            f"{fewest} samples for {width} features: the covariance is rank-deficient"
            " and the Fréchet distance biased upwards; compare it at equal n only,"
            " and read the kernel distance too",
            FewSamples,
            stacklevel=2,
        )
    gap = a.mean(axis=0) - b.mean(axis=0)
    root_a, root_b = _covariance_root(a), _covariance_root(b)
    overlap = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    distance = gap @ gap + np.sum(root_a**2) + np.sum(root_b**2) - 2 * overlap
    return max(float(distance), 0.0)  # round-off alone can take it below zero


def _covariance_root(x: np.ndarray) -> np.ndarray:
    """R of at most d rows with RᵀR = the covariance of the rows of `x`."""
    centred = (x - x.mean(axis=0)) / np.sqrt(len(x) - 1)
    tall = len(centred) > centred.shape[1]
    return np.linalg.qr(centred, mode="r") if tall else centred


def kernel_distance(a: Features, b: Features) -> float:
    """Unbiased squared MMD between `a` (n, d) and `b` (m, d): the kernel distance.

    Kernel (x·y/d + 1)³ (Bińkowski et al. 2018, "KID").  Unbiased at every n, so
    it may fall below zero for sets of one distribution.  Raises SkfmError as
    `feature_matrix` does.
    """
    a, b = feature_pair(a, b)
    within = _mean_off_diagonal(_cubic(a, a)) + _mean_off_diagonal(_cubic(b, b))
    return float(within - 2 * _cubic(a, b).mean())


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return (x @ y.T / x.shape[1] + 1) ** 3


def _mean_off_diagonal(square: np.ndarray) -> float:
    n = len(square)
    return (square.sum() - np.trace(square)) / (n * (n - 1))
