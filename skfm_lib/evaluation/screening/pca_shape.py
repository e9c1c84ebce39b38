"""Is it a skull as the others are?  A shape model, and the nearest training skull."""

from dataclasses import dataclass

import numpy as np

MODES = 40  # principal modes of variation


@dataclass(frozen=True)
class ShapeModel:
    """Probabilistic principal components of skulls (Tipping & Bishop 1999).

    A skull is the share of bone in cells of about 8 mm.  Skulls of a score vary about
    its mean; modes and noise are shared by all scores.

    scores  the quality scores; means  (scores, m)
    modes   (m, k), orthonormal; variance  (k,) along them; noise  of all else
    """

    scores: tuple[int, ...]
    means: np.ndarray
    modes: np.ndarray
    variance: np.ndarray
    noise: float

    @classmethod
    def fit(cls, cells: np.ndarray, qualities: np.ndarray) -> "ShapeModel":
        """From the cells (n, m) of training skulls of known scores (n,)."""
        scores = tuple(np.unique(qualities).tolist())
        means = np.stack([cells[qualities == q].mean(axis=0) for q in scores])
        rest = cells - means[np.searchsorted(scores, qualities)]
        values, vectors = np.linalg.eigh((rest @ rest.T).astype(np.float64) / len(rest))
        k = min(MODES, len(rest) // 2)
        variance, sides = values[: -k - 1 : -1], vectors[:, : -k - 1 : -1]
        modes = (rest.T @ sides) / np.sqrt(variance * len(rest))
        noise = values[:-k].sum() / (cells.shape[1] - k)
        return cls(scores, means, modes.astype(np.float32), variance, float(noise))

    def misfit(self, cells: np.ndarray, qualities: np.ndarray) -> np.ndarray:
        """Mahalanobis distance (n,) of skulls from the mean of their scores, per cell.

        With the model's covariance this is the likelihood, but for a constant.
        """
        rest = cells - self.means[np.searchsorted(self.scores, qualities)]
        along = rest @ self.modes
        beside = (rest**2).sum(axis=1) - (along**2).sum(axis=1)
        squares = (along**2 / self.variance).sum(axis=1) + beside / self.noise
        return np.sqrt(squares / cells.shape[1])


def distance_to_nearest(
    cells: np.ndarray, training: np.ndarray, own: bool = False
) -> np.ndarray:
    """1 − Dice overlap (n,) of skulls with the nearest of the `training` skulls.

    Both as cells (·, m) of bone shares; `own`: the skulls are the training skulls
    themselves, and each is compared with the others.
    """
    product = cells @ training.T
    squares = [(c.astype(np.float64) ** 2).sum(axis=1) for c in (cells, training)]
    overlap = 2 * product / np.maximum(squares[0][:, None] + squares[1], 1e-9)
    if own:
        np.fill_diagonal(overlap, -np.inf)
    return 1 - overlap.max(axis=1)
