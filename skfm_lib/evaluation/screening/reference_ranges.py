"""What is normal for the study's real skulls, and how others compare."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from skfm_lib.evaluation.screening.measures import MEASURES, Findings
from skfm_lib.evaluation.screening.pca_shape import ShapeModel, distance_to_nearest
from skfm_lib.evaluation.screening.tolerance_limits import Limits, folds, set_limits
from skfm_lib.evaluation.screening.vault import VaultNorm
from skfm_lib.utils.errors import SkfmError

NAMES = tuple(measure.name for measure in MEASURES)
Shapes = dict[str, np.ndarray]  # name of a measure → its values (n,)


@dataclass(frozen=True)
class Verdicts:
    """What screening says of n skulls.

    asked, shown  quality scores (n,): asked for, and shown according to the judge
    values        (n, 14) of MEASURES, NaN where one does not apply
    excess        (n, 14) beyond the limits of the score *shown*, in its spreads: so
                  that a good skull of another score is a conditioning error only
    """

    asked: np.ndarray
    shown: np.ndarray
    values: np.ndarray
    excess: np.ndarray

    @property
    def failed(self) -> np.ndarray:
        """True (n,) where any measure is beyond its limit."""
        return (self.excess > 0).any(axis=1)

    @property
    def misconditioned(self) -> np.ndarray:
        """True (n,) where the score shown is not the one asked for."""
        return self.asked != self.shown

    def worst_first(self) -> np.ndarray:
        """The failed skulls, those farthest beyond a limit first."""
        order = np.argsort(-self.excess.max(axis=1), kind="stable")
        return order[self.failed[order]]

    def farthest(self, measure: str) -> int | None:
        """The skull that goes farthest by one measure; None where none has it taken."""
        beyond = self.excess[:, NAMES.index(measure)]
        item = int(beyond.argmax())
        return item if np.isfinite(beyond[item]) else None

    def told(self, item: int, measure: str) -> str:
        """What was measured of a skull, such as ``vault holes 12 cm²``."""
        column = NAMES.index(measure)
        value = self.values[item, column]
        return f"{measure} {value:.3g} {MEASURES[column].unit}".rstrip()

    def reasons(self, item: int) -> list[str]:
        """The measures by which a skull failed, the worst first."""
        order = np.argsort(-self.excess[item], kind="stable")
        return [NAMES[m] for m in order if self.excess[item, m] > 0]


@dataclass(frozen=True)
class SkullNorm:
    """Fitted on the training skulls: see `fit_norm`."""

    vault: VaultNorm
    shape: ShapeModel
    training: np.ndarray
    limits: Limits

    def judge(
        self, found: Findings, shown: Sequence[int], asked: Sequence[int]
    ) -> Verdicts:
        """Compare skulls that show the scores `shown` (n,) with what is normal.

        SkfmError for a score that the training skulls do not have.
        """
        shown, asked = np.asarray(shown), np.asarray(asked)
        check_scores(shown, self.limits.scores)
        shapes = {
            "vault holes": _holes(self.vault, found, shown),
            "to nearest": distance_to_nearest(found.cells, self.training),
            "misfit": self.shape.misfit(found.cells, shown),
        }
        values = _table(found, shown, shapes)
        return Verdicts(asked, shown, values, self.limits.excess(values, shown))


def fit_norm(
    found: Findings, qualities: Sequence[int], share: float = 0.005, seed: int = 0
) -> SkullNorm:
    """The norm of training skulls of known scores (n,).

    share  of real skulls that each of the 14 measures may fail

    Limits are set by cross-fitting (`set_limits`): the shape model that measures a
    skull was fitted without it, and its nearest neighbour is another one.  So all
    training skulls set limits, and held-out ones can judge them.  SkfmError where a
    score has fewer than two skulls.
    """
    qualities = np.asarray(qualities)
    vault = VaultNorm.fit(found.vaults, qualities)
    misfit = np.empty(len(qualities))
    for out in folds(qualities, seed):
        others = ShapeModel.fit(found.cells[~out], qualities[~out])
        misfit[out] = others.misfit(found.cells[out], qualities[out])
    shapes = {
        "vault holes": _holes(vault, found, qualities),
        "to nearest": distance_to_nearest(found.cells, found.cells, own=True),
        "misfit": misfit,
    }
    values = _table(found, qualities, shapes)
    limits = set_limits(values, qualities, MEASURES, share, seed)
    shape = ShapeModel.fit(found.cells, qualities)
    return SkullNorm(vault, shape, found.cells, limits)


def check_scores(shown: np.ndarray, known: np.ndarray) -> None:
    """SkfmError where a skull shows a score that no training skull has."""
    if strange := sorted(set(shown.tolist()) - set(known.tolist())):
        raise SkfmError(
            f"skulls of quality scores {strange}",
            f"those of the training skulls, {known.tolist()}",
            "screen with a study of the same scores",
        )


def _holes(vault: VaultNorm, found: Findings, shown: np.ndarray) -> np.ndarray:
    return np.array([vault.holes(m, q) for m, q in zip(found.vaults, shown.tolist())])


def _table(found: Findings, shown: np.ndarray, shapes: Shapes) -> np.ndarray:
    """Values (n, 14) in the order of MEASURES, NaN where one cannot be taken."""
    more = [shapes[name] for name in NAMES[found.plain.shape[1] :]]
    values = np.column_stack([found.plain, *more])
    for column, measure in zip(values.T, MEASURES):
        if measure.scores:
            column[~np.isin(shown, measure.scores)] = np.nan
    return values
