"""What is measured of a packed model: its screening, its distances, an example."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.evaluation.screening.measures import Measurements, measure_skulls
from skfm_lib.evaluation.screening.reference_ranges import ScreeningResult
from skfm_lib.evaluation.screening.screener import Screener
from skfm_lib.generation import generate_skulls, mix_of, sample_seed, usual_sampler
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.reference_model.comparison_set import FEWEST, ComparisonSet
from skfm_lib.reference_model.loading import MODEL, load_generator
from skfm_lib.reference_model.package import EXAMPLE, Package
from skfm_lib.study import Stage
from skfm_lib.study.data_stage import skulls
from skfm_lib.utils.files import replacing

SKULLS = "skulls"  # of the stage: those that were generated
COMPLETE = 5  # the quality score of complete skulls
GENERATED, HELD, TRAINING = "generated", "held out", "training"


@dataclass(frozen=True)
class MeasuredModel:
    """Skulls of a packed model and a study's real ones, measured."""

    stage: Stage
    sets: Mapping[str, SkullSet]
    measured: Mapping[str, Measurements]

    @classmethod
    def of(cls, stage: Stage, packed: Package, count: int) -> "MeasuredModel":
        """Generate `count` skulls in the paper's mix, and measure all sets.

        Everything is kept in the folder of `stage`.
        """
        study, sampling = stage.study, stage.study.settings.sampling
        made = stage.folder / SKULLS
        generate_skulls(
            load_generator(packed),
            made,
            mix_of(PAPER_TRAIN, count),
            study.seed,
            usual_sampler(MODEL, sampling),
            sampling.batch,
        )
        real = {HELD: skulls(study, "test"), TRAINING: skulls(study, "train")}
        sets = {GENERATED: SkullSet(made, "train"), **real}
        files = {**{name: name for name in sets}, TRAINING: "train"}
        measured = {
            name: measure_skulls(one, name, stage.folder / f"{files[name]}.npz")
            for name, one in sets.items()
        }
        return cls(stage, sets, measured)

    def screened(self, screener: Screener) -> dict[str, ScreeningResult]:
        """The screening of the generated and of the held-out skulls."""
        return {
            name: screener.compare(self.sets[name], self.measured[name])
            for name in (GENERATED, HELD)
        }

    def distances(self, network: StudyFeatures, folder: Path) -> dict[str, Any]:
        """The generated and, as the best to expect, training skulls against held-out.

        The held-out skulls are stored in the packed model's folder, as features.
        Nothing is returned where a set has too few skulls to compare.
        """
        held = ComparisonSet.of(network, self.sets[HELD], self.measured[HELD])
        held.save(folder)
        count = min(map(len, self.sets.values()))
        if count < FEWEST:
            return {}
        rows = {
            name: held.compare(self.sets[name], self.measured[name])
            for name in (GENERATED, TRAINING)
        }
        return {"skulls": count, "features": held.caption(count), "rows": rows}

    def example(self, result: ScreeningResult, folder: Path) -> dict[str, int]:
        """Keep a generated skull that passed, by which a copy of the model is tested.

        The first one of QS 5; returns its score and seed, or nothing where none passed.
        """
        (folder / EXAMPLE).unlink(missing_ok=True)
        wrong = result.failed | result.misconditioned | (result.requested != COMPLETE)
        if wrong.all():
            return {}
        item = int(np.flatnonzero(~wrong)[0])
        volume = self.sets[GENERATED].volume(item)
        with replacing(folder / EXAMPLE) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, volume=volume)
        seed = sample_seed(self.stage.study.seed, item)
        return {"quality": COMPLETE, "seed": seed}


def counts_of(result: ScreeningResult) -> dict[str, Any]:
    """How many skulls were screened, failed, by which measures, or show another score.

    A skull may fail by several measures.
    """
    items = range(len(result.requested))
    reasons = Counter(name for item in items for name in result.reasons(item))
    return {
        "skulls": len(items),
        "failed": int(result.failed.sum()),
        "of another score": int(result.misconditioned.sum()),
        "either": int((result.failed | result.misconditioned).sum()),
        "reasons": dict(reasons.most_common()),
    }
