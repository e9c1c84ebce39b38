"""A statistical shape model of skulls, and the distance to the nearest training skull.

Both take skulls as fractions of bone in blocks of about 8 mm.
"""

import numpy as np

MODES = 40  # principal modes of variation


class ShapeModel:
    """Probabilistic principal component analysis (Tipping & Bishop 1999).

    Fitted to the blocks (n, m) of training skulls of scores `qualities` (n,), each of
    which has a mean of its own; modes and noise are shared.
    """

    def __init__(self, blocks: np.ndarray, qualities: np.ndarray) -> None:
        self.scores = np.unique(qualities)
        self.means = np.stack([blocks[qualities == q].mean(0) for q in self.scores])
        rest = blocks - self.means[np.searchsorted(self.scores, qualities)]
        # Eigenvectors of the small (n, n) Gram matrix give those of the covariance.
        values, vectors = np.linalg.eigh((rest @ rest.T).astype(np.float64) / len(rest))
        k = min(MODES, len(rest) // 2)
        self.variance, sides = values[: -k - 1 : -1], vectors[:, : -k - 1 : -1]
        modes = (rest.T @ sides) / np.sqrt(self.variance * len(rest))
        self.modes = modes.astype(np.float32)  # (m, k), orthonormal
        self.noise = float(values[:-k].sum() / (blocks.shape[1] - k))

    def misfit(self, blocks: np.ndarray, qualities: np.ndarray) -> np.ndarray:
        """Root of the mean squared Mahalanobis distance (n,) per block.

        Up to constants, its square is the negative log-likelihood.
        """
        rest = blocks - self.means[np.searchsorted(self.scores, qualities)]
        along = rest @ self.modes
        beside = (rest**2).sum(axis=1) - (along**2).sum(axis=1)
        squares = (along**2 / self.variance).sum(axis=1) + beside / self.noise
        return np.sqrt(squares / blocks.shape[1])


def distance_to_nearest(
    blocks: np.ndarray, training: np.ndarray, own: bool = False
) -> np.ndarray:
    """1 − soft Dice overlap (n,) with the nearest of the `training` skulls.

    With `own`, each of the training skulls is compared with the others.

    >>> skulls = np.array([[1.0, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]])
    >>> distance_to_nearest(skulls, skulls, own=True)
    array([0.5, 0.5, 1. ])
    """
    product = blocks @ training.T
    squares = [(b.astype(np.float64) ** 2).sum(axis=1) for b in (blocks, training)]
    overlap = 2 * product / np.maximum(squares[0][:, None] + squares[1], 1e-9)
    if own:
        np.fill_diagonal(overlap, -np.inf)
    return 1 - overlap.max(axis=1)
