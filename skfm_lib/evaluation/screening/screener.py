"""Screen skulls one at a time: the classifier and the ranges of training skulls.

What a screener needs of its training skulls is the fraction of bone in blocks of 8 mm,
the median vault and the limits.  It is stored without the skulls, but the blocks are
coarse copies of them.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from skfm_lib.data.voxels import FULL_BYTE, Grid
from skfm_lib.evaluation.screening.frozen_limits import study_ranges
from skfm_lib.evaluation.screening.measures import (
    NAMES,
    Measurements,
    Skulls,
    measure_skulls,
    measure_volumes,
)
from skfm_lib.evaluation.screening.reference_ranges import (
    ReferenceRanges,
    ScreeningResult,
    ShapeModel,
)
from skfm_lib.evaluation.screening.score_classifier import (
    ScoreNet,
    predict_scores,
    train_score_classifier,
)
from skfm_lib.evaluation.screening.tolerance_limits import Limits
from skfm_lib.evaluation.screening.vault import VaultModel
from skfm_lib.generation import Outcome
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.training.checkpoints import load_weights
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

RANGES = "screening.npz"
LIMITS = ("scores", "low", "high", "spread", "share")


@dataclass(frozen=True)
class OneSkull:
    """A set of one skull (`measures.Skulls`): its stored volume and requested score."""

    stored: np.ndarray
    grid: Grid
    qualities: tuple[int]

    def __len__(self) -> int:
        return 1

    def volume(self, index: int) -> np.ndarray:
        """The volume, bits or bytes (D, H, W)."""
        return self.stored


@dataclass(frozen=True)
class Screener:
    """Chapter 7's screening, applied to single skulls on `grid`."""

    classifier: ScoreNet
    ranges: ReferenceRanges
    grid: Grid

    def __call__(self, volume: np.ndarray, quality: int) -> Outcome:
        """Screen a stored volume (D, H, W) of the requested score `quality`."""
        one = OneSkull(volume, self.grid, (quality,))
        measured = measure_volumes([volume], self.grid)
        (found,) = outcomes(self.compare(one, measured))
        return found

    def compare(self, skulls: Skulls, measured: Measurements) -> ScreeningResult:
        """The screening of a measured set of skulls."""
        predicted = predict_scores(self.classifier, skulls)
        return self.ranges.compare(measured, predicted, skulls.qualities)


def outcomes(result: ScreeningResult) -> list[Outcome]:
    """For each skull the measures beyond their limits, and a wrong score, in words."""
    pairs = zip(result.requested.tolist(), result.predicted.tolist())
    return [
        Outcome(
            tuple(result.describe(item, name) for name in result.reasons(item))
            + ((f"shows QS {predicted}",) if predicted != requested else ())
        )
        for item, (requested, predicted) in enumerate(pairs)
    ]


def study_screener(study: Study) -> Screener | None:
    """The screener of a study's chapter 7; None where that is not finished."""
    if not study.is_finished(stage_names.FAILURES):
        return None
    stage = study.finished(stage_names.FAILURES)
    steps, share = (stage.settings[name] for name in ("classifier_steps", "share"))
    return stage_screener(stage, steps, share)


def stage_screener(stage: Stage, steps: int, share: float | None = None) -> Screener:
    """The screener of a stage, in whose folder classifier and measures are kept.

    `steps` are those of the classifier; `share` as for `study_ranges`.
    """
    train = skulls(stage.study, "train")
    classifier = train_score_classifier(stage, train, steps)
    measured = measure_skulls(train, "train", stage.folder / "train.npz")
    ranges = study_ranges(stage.study, measured, train, share)
    return Screener(classifier, ranges, train.grid)


def save_ranges(path: Path, ranges: ReferenceRanges, qualities: list[int]) -> None:
    """Store the ranges of training skulls of these scores (n,), as a compressed file.

    Fractions of bone are rounded to bytes.
    """
    limits = {name: getattr(ranges.limits, name) for name in LIMITS}
    content = {
        "measures": np.array(NAMES),
        "qualities": np.array(qualities),
        "blocks": np.rint(FULL_BYTE * ranges.training).astype(np.uint8),
        "vault": ranges.vault.radius,
        "cut": np.array(sorted(ranges.vault.cut), int),
        **limits,
    }
    with replacing(path) as temporary, temporary.open("wb") as stream:
        np.savez_compressed(stream, **content)


def load_ranges(path: Path) -> ReferenceRanges:
    """The ranges that `save_ranges` stored; SkfmError for those of other measures."""
    with np.load(path) as content:
        if tuple(content["measures"]) != NAMES:
            found = f"{path} has limits of {', '.join(content['measures'])}"
            raise SkfmError(found, ", ".join(NAMES), "skfm pack makes it anew")
        qualities = content["qualities"]
        blocks = content["blocks"].astype(np.float32) / FULL_BYTE
        vault = VaultModel(content["vault"][None], qualities[:1])
        vault.cut = set(content["cut"].tolist())
        limits = Limits(*(content[name] for name in LIMITS))
    return ReferenceRanges(vault, ShapeModel(blocks, qualities), blocks, limits)


def load_screener(classifier: Path, ranges: Path, grid: Grid) -> Screener:
    """A screener from stored files: the classifier's weights, and `save_ranges`."""
    found = load_ranges(ranges)
    network = ScoreNet(found.limits.scores.tolist())
    load_weights(network, classifier, "scores")
    return Screener(network.eval(), found, grid)
