"""What every metric on feature vectors asks of its input, said once."""

import numpy as np
import torch

from skfm_lib.utils.errors import SkfmError

Features = torch.Tensor | np.ndarray


def float64(values: Features) -> np.ndarray:
    """A tensor or array of any device and type as a contiguous float64 array."""
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().double().numpy()
    return np.ascontiguousarray(values, dtype=np.float64)


def feature_matrix(features: Features, name: str = "features") -> np.ndarray:
    """The features as an (n, d) float64 array.

    float32 statistics are about 1 % off at n = 726, d = 2048, hence float64.
    Raises SkfmError for another number of axes, n < 2, or NaN and infinity.
    """
    matrix = float64(features)
    if matrix.ndim != 2:
        raise SkfmError(
            f"{name} has shape {matrix.shape}",
            "(n, d), one feature vector a row",
            "take the vectors from skfm_lib.metrics.extract",
        )
    if len(matrix) < 2:
        raise SkfmError(
            f"{name} has {len(matrix)} row(s)",
            "at least 2, for a spread needs two samples",
            "generate or load more samples",
        )
    if not np.isfinite(matrix).all():
        row = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise SkfmError(
            f"{name}: row {row} holds NaN or infinity",
            "finite features",
            "look at that volume and at the weights of the feature network",
        )
    return matrix


def feature_pair(
    a: Features, b: Features, names: tuple[str, str] = ("a", "b")
) -> tuple[np.ndarray, np.ndarray]:
    """Both sets as float64 matrices (n_a, d) and (n_b, d); raises if d differs."""
    first, second = (feature_matrix(x, name) for x, name in zip((a, b), names))
    if first.shape[1] != second.shape[1]:
        raise SkfmError(
            f"{names[0]} has {first.shape[1]} features and {names[1]} "
            f"{second.shape[1]}",
            "the same feature network for both sets",
            "extract both again with one network",
        )
    return first, second
