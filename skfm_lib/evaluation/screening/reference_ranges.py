"""Reference ranges of a study's real skulls, and comparison of others with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from skfm_lib.evaluation.screening.measures import MEASURES, NAMES, Measurements
from skfm_lib.evaluation.screening.tolerance_limits import Limits, folds, set_limits
from skfm_lib.evaluation.screening.vault import VaultModel
from skfm_lib.utils.errors import SkfmError

SHARE = 0.002  # of real skulls that are beyond the limits of one measure
MODES = 40  # principal modes of variation
Scores = Sequence[int] | np.ndarray


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
        """Mahalanobis distance (n,) from the mean of the skull's score, over √m."""
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


@dataclass(frozen=True)
class ScreeningResult:
    """The result of screening n skulls.

    Limits are those of the *predicted* score, so that a good skull of another score
    than the requested one is a conditioning error only.
    """

    requested: Int[np.ndarray, " n"]  #: quality scores
    predicted: Int[np.ndarray, " n"]  #: quality scores according to the classifier
    values: Float[np.ndarray, "n measures"]  #: NaN where a measure does not apply
    excess: Float[np.ndarray, "n measures"]  #: beyond the limits, see `Limits.excess`

    @property
    def failed(self) -> np.ndarray:
        """True (n,) where any measure is beyond its limits."""
        return self.excess.max(axis=1) > 0

    @property
    def misconditioned(self) -> np.ndarray:
        """True (n,) where the predicted score is not the requested one."""
        return self.requested != self.predicted

    def worst_first(self) -> np.ndarray:
        """Indices of the failed skulls, those farthest beyond a limit first."""
        order = np.argsort(-self.excess.max(axis=1), kind="stable")
        return order[self.failed[order]]

    def farthest(self, measure: str) -> int | None:
        """Index of the most extreme skull by a measure; None if it applies to none."""
        beyond = self.excess[:, NAMES.index(measure)]
        item = int(beyond.argmax())
        return item if np.isfinite(beyond[item]) else None

    def describe(self, item: int, measure: str) -> str:
        """A measured value of a skull, such as ``vault holes 12 cm²``."""
        column = NAMES.index(measure)
        value = self.values[item, column]
        return f"{measure} {value:.3g} {MEASURES[column].unit}".rstrip()

    def reasons(self, item: int) -> list[str]:
        """The measures by which a skull failed, the worst first."""
        order = np.argsort(-self.excess[item], kind="stable")
        return [NAMES[m] for m in order if self.excess[item, m] > 0]


Results = Mapping[str, ScreeningResult]  # by the name of the set


@dataclass(frozen=True)
class ReferenceRanges:
    """Models and limits of training skulls, from `fit_ranges`."""

    vault: VaultModel
    shape: ShapeModel
    training: Float[np.ndarray, "n blocks"]
    limits: Limits

    def compare(
        self, measured: Measurements, predicted: Scores, requested: Scores
    ) -> ScreeningResult:
        """Compare skulls of `predicted` scores (n,) with the ranges of these scores.

        Raises:
            SkfmError: for a score that the training skulls do not have.
        """
        scores, known = np.asarray(predicted), self.limits.scores
        if unknown := sorted(set(scores.tolist()) - set(known.tolist())):
            raise SkfmError(
                f"skulls of quality scores {unknown}",
                f"those of the training skulls, {known.tolist()}",
                "screen with a study of the same scores",
            )
        nearest = distance_to_nearest(measured.blocks, self.training)
        misfit = self.shape.misfit(measured.blocks, scores)
        values = _complete(measured, scores, self.vault, nearest, misfit)
        excess = self.limits.excess(values, scores)
        return ScreeningResult(np.asarray(requested), scores, values, excess)


def fit_ranges(
    measured: Measurements, qualities: Scores, share: float = SHARE, seed: int = 0
) -> ReferenceRanges:
    """Fit reference ranges to training skulls of known scores `qualities` (n,).

    A fraction `share` of real skulls is beyond the limits of each of the 14 measures
    (`set_limits` of the `cross_fitted` values).  So all training skulls set limits,
    which hold for new ones.

    Raises:
        SkfmError: if a score has fewer than two skulls, or a measure is NaN.
    """
    values = cross_fitted(measured, qualities, seed)
    limits = set_limits(values, np.asarray(qualities), MEASURES, share, seed)
    return with_limits(measured, qualities, limits)


def with_limits(
    measured: Measurements, qualities: Scores, limits: Limits
) -> ReferenceRanges:
    """Models of training skulls of scores `qualities` (n,), and limits set before."""
    scores, blocks = np.asarray(qualities), measured.blocks
    vault, shape = VaultModel(measured.vaults, scores), ShapeModel(blocks, scores)
    return ReferenceRanges(vault, shape, blocks, limits)


def cross_fitted(
    measured: Measurements, qualities: Scores, seed: int = 0
) -> Float[np.ndarray, "n measures"]:
    """MEASURES of training skulls, each as of a new one (n, 14).

    The vault and the shape model of a skull are fitted without its fold (`folds` by
    `seed`), and its nearest neighbour is another skull.
    """
    scores, blocks = np.asarray(qualities), measured.blocks
    nearest = distance_to_nearest(blocks, blocks, own=True)
    values = np.empty((len(scores), len(MEASURES)))
    for out in folds(scores, seed):
        vault = VaultModel(measured.vaults[~out], scores[~out])
        shape = ShapeModel(blocks[~out], scores[~out])
        misfit = shape.misfit(blocks[out], scores[out])
        values[out] = _complete(measured[out], scores[out], vault, nearest[out], misfit)
    return values


def _complete(
    measured: Measurements, scores: np.ndarray, vault: VaultModel, *shape: np.ndarray
) -> np.ndarray:
    """Values (n, 14) in the order of MEASURES, NaN where one does not apply."""
    holes = [vault.holes(m, q) for m, q in zip(measured.vaults, scores.tolist())]
    values = np.column_stack([measured.values, holes, *shape])
    for item, column in np.argwhere(~np.isfinite(values)):
        found = f"{NAMES[column]} {values[item, column]} of skull {item}"
        raise SkfmError(found, "a number", "measure the skulls again")
    for column, measure in zip(values.T, MEASURES):
        if measure.scores:
            column[~np.isin(scores, measure.scores)] = np.nan
    return values
