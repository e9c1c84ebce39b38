"""Generated sets against the validation skulls: features, anatomy and failures.

Settings of training and sampling are chosen by such results, so the test skulls are
not used.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation import screening, table1
from skfm_lib.evaluation.screening.anatomical_distance import anatomical_distance
from skfm_lib.evaluation.screening.measures import Measurements
from skfm_lib.evaluation.screening.reference_ranges import (
    ReferenceRanges,
    ScreeningResult,
)
from skfm_lib.evaluation.screening.score_classifier import ScoreNet
from skfm_lib.evaluation.table1_columns import ANATOMY
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.study import Stage, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.training.feature_net import feature_cache, study_features

FID, IP, IR, PP, PR = "FID ↓", "IP ↑", "IR ↑", "PP ↑", "PR ↑"
FAILED, MISCONDITIONED = "failed ↓", "mis-conditioned ↓"
COLUMNS = (FAILED, MISCONDITIONED, FID, IP, IR, PP, PR, ANATOMY)

Values = dict[str, float]


class Examined(NamedTuple):
    """A set compared with the validation skulls, and what is known of each skull."""

    values: Values  # the columns of `COLUMNS`
    failed: np.ndarray  # (n,) bool
    features: np.ndarray  # (n, d)


@dataclass(frozen=True)
class HeldOut:
    """Validation skulls, and all that sets are compared with them by."""

    network: StudyFeatures
    classifier: ScoreNet
    ranges: ReferenceRanges
    cache: Path  # of features
    features: np.ndarray
    measured: Measurements

    def compare(self, generated: SkullSet, measures: Path | None = None) -> Values:
        """`COLUMNS` of a set; its measures are kept in the file `measures`.

        Recall and FID depend on the number of skulls: sets of one size are compared.
        """
        return self.examine(generated, measures).values

    def examine(self, generated: SkullSet, measures: Path | None = None) -> Examined:
        """`compare`, with the skulls' features and whether each failed."""
        measured = screening.measure_skulls(generated, "skulls", measures)
        fake = table1.features_of(self.network, volumes_of(generated), self.cache)
        screened = self.screen(generated, measured)
        with warnings.catch_warnings():  # fewer skulls than features, in every set
            warnings.simplefilter("ignore", metrics.FewSamples)
            fid = metrics.frechet_distance(self.features, fake)
        shares = (
            *metrics.improved_precision_recall(self.features, fake),
            *metrics.probabilistic_precision_recall(self.features, fake),
        )
        values = {
            FAILED: float(screened.failed.mean()),
            MISCONDITIONED: float(screened.misconditioned.mean()),
            FID: fid,
            **dict(zip((IP, IR, PP, PR), shares)),
            ANATOMY: anatomical_distance(self.measured.values, measured.values),
        }
        return Examined(values, screened.failed, fake)

    def screen(self, compared: SkullSet, measured: Measurements) -> ScreeningResult:
        """The screening of chapter 7."""
        predicted = screening.predict_scores(self.classifier, compared)
        return self.ranges.compare(measured, predicted, compared.qualities)


def held_out_skulls(stage: Stage, feature_steps: int) -> HeldOut:
    """The validation skulls with the features of the study and chapter 7's screening.

    `stage` is that of the chapter that compares.
    """
    study = stage.study
    train, validation = skulls(study, "train"), skulls(study, "validation")
    network = study_features(stage, train, feature_steps)
    screened = study.finished(stage_names.FAILURES)
    classifier = screening.train_score_classifier(
        screened, train, screened.settings["classifier_steps"]
    )
    training = screening.measure_skulls(train, "train", screened.folder / "train.npz")
    share = screened.settings["share"]
    ranges = screening.study_ranges(study, training, train, share)
    cache, kept = feature_cache(study), stage.folder / "validation.npz"
    measured = screening.measure_skulls(validation, "validation", kept)
    features = table1.features_of(network, volumes_of(validation), cache)
    return HeldOut(network, classifier, ranges, cache, features, measured)


def reference(held_out: HeldOut, stage: Stage, count: int) -> Values:
    """What `count` training skulls have: the best value to expect of a set.

    Their share of failures would be that of the skulls that set the limits; the false
    alarms on the validation skulls stand there instead, and likewise the share that
    the classifier mistakes.
    """
    train, validation = (skulls(stage.study, name) for name in ("train", "validation"))
    items = table1.stratified_sample(train, count, stage.study.seed)
    some = SkullSet(train.folder, "train", [train.skulls[i] for i in items])
    compared = held_out.compare(some, stage.folder / f"train-{count}.npz")
    alarms = held_out.screen(validation, held_out.measured)
    compared[FAILED] = float(alarms.failed.mean())
    return {**compared, MISCONDITIONED: float(alarms.misconditioned.mean())}
