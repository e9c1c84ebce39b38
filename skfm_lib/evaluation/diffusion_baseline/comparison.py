"""Generated sets against the validation skulls: FID, anatomy, failures.

The validation skulls are used, since such results are what steps are chosen by.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from skfm_lib import metrics
from skfm_lib.data.dataset import SkullSet, volumes_of
from skfm_lib.evaluation import screening, table1
from skfm_lib.evaluation.diffusion_baseline.trainings import Plan, Training
from skfm_lib.evaluation.screening.anatomical_distance import anatomical_distance
from skfm_lib.evaluation.screening.measures import Measurements
from skfm_lib.evaluation.screening.reference_ranges import ReferenceRanges
from skfm_lib.evaluation.screening.score_classifier import ScoreNet
from skfm_lib.generation import LABELS
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.study import Stage, stage_names
from skfm_lib.study.data_stage import skulls
from skfm_lib.training.feature_net import feature_cache, study_features

FID, ANATOMY, FAILED = "FID ↓", "anatomical distance ↓", "failed ↓"
MEASURED = (FID, ANATOMY, FAILED)
TRAINING, SAMPLING = "training steps", "sampling steps"

Values = dict[str, float]


@dataclass(frozen=True)
class HeldOut:
    """Validation skulls, and all that sets are compared with them by."""

    network: StudyFeatures
    classifier: ScoreNet
    ranges: ReferenceRanges
    cache: Path  # of features
    features: np.ndarray
    measured: Measurements
    false_alarms: float  # share of the validation skulls that fail the screening

    def compare(self, generated: SkullSet, measures: Path | None = None) -> Values:
        """`MEASURED` of a set; its measures are kept in the file `measures`."""
        measured = screening.measure_skulls(generated, "skulls", measures)
        volumes = volumes_of(generated)
        fake = table1.features_of(self.network, volumes, self.cache)
        distances = self.distances(fake, measured)
        return {**distances, FAILED: self.failed(generated, measured)}

    def distances(self, features: np.ndarray, measured: Measurements) -> Values:
        """FID and the anatomical distance of a set to the validation skulls."""
        with warnings.catch_warnings():  # fewer skulls than features, in every set
            warnings.simplefilter("ignore", metrics.FewSamples)
            fid = metrics.frechet_distance(self.features, features)
        anatomy = anatomical_distance(self.measured.values, measured.values)
        return {FID: fid, ANATOMY: anatomy}

    def failed(self, compared: SkullSet, measured: Measurements) -> float:
        """The share of skulls beyond a limit of chapter 7."""
        predicted = screening.predict_scores(self.classifier, compared)
        result = self.ranges.compare(measured, predicted, compared.qualities)
        return float(result.failed.mean())


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
    given = network, classifier, ranges, cache, features, measured
    alarms = HeldOut(*given, false_alarms=0).failed(validation, measured)
    return HeldOut(*given, false_alarms=alarms)


def reference(held_out: HeldOut, stage: Stage, count: int) -> Values:
    """What `count` training skulls have: the best value to expect of a set.

    Their share of failures would be that of the skulls that set the limits; the false
    alarms on the validation skulls stand there instead.
    """
    train = skulls(stage.study, "train")
    items = table1.stratified_sample(train, count, stage.study.seed)
    some = SkullSet(train.folder, "train", [train.skulls[i] for i in items])
    compared = held_out.compare(some, stage.folder / f"train-{count}.npz")
    return {**compared, FAILED: held_out.false_alarms}


def compare_steps(
    trainings: Sequence[Training],
    plan: Plan,
    held_out: HeldOut,
    qualities: Sequence[int],
    seed: int,
) -> pd.DataFrame:
    """One row per training and point of the plan; columns model … and `MEASURED`.

    Sets that are missing are generated now.
    """
    rows = []
    for one in trainings:
        for step, steps in plan.points:
            made = one.sample(step, one.sampler(steps), qualities, seed)
            values = held_out.compare(made, made.folder / "measures.npz")
            about = {"model": LABELS[one.model], "seed": one.seed}
            rows.append({**about, TRAINING: step, SAMPLING: steps, **values})
    return pd.DataFrame(rows)


def along(points: pd.DataFrame, axis: str, plan: Plan) -> pd.DataFrame:
    """The points over `TRAINING` at the plan's S, or over `SAMPLING` at the end."""
    if axis == TRAINING:
        return points[points[SAMPLING] == plan.steps]
    chosen = points[TRAINING] == max(plan.training_steps)
    return points[chosen & points[SAMPLING].isin(plan.sampling_steps)]
