"""Synthetic skulls that failed the screening of chapter 7: a negative control."""

from collections.abc import Callable, Sequence

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import Skull
from skfm_lib.generation import Outcome
from skfm_lib.study import Study, stage_names
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

# Of a study: of a stored volume and its score, what fails; None before chapter 7.
Screening = Callable[[Study], Callable[[np.ndarray, int], Outcome] | None]
FOLDER = "08_experiments"


def failed_skulls(
    made: Study,
    study: Study,
    model: str,
    sets: Sequence[SkullSet],
    screening: Screening | None,
) -> list[Skull]:
    """The skulls of a model's sets that fail a study's screening.

    `made` is the run of the model.  Computed once for the same skulls, and kept.
    SkfmError without a screening.
    """
    every = [skull for one in sets for skull in one.skulls]
    about = {"seed": study.seed, "model": model, "run": made.name}
    about["skulls"] = [str(one.folder.relative_to(made.folder)) for one in sets]
    about["number"] = len(every)
    after = (stage_names.DATA, stage_names.FAILURES)
    stage = study.experiment(FOLDER, f"failed-{model}", about, after)
    if not stage.done:
        screen = screening(study) if screening else None
        if screen is None:
            found = f"skulls of {model} that failed, without a screening"
            raise SkfmError(found, "a finished chapter 7", "skfm run 07")
        with_volumes = [(one, i) for one in sets for i in range(len(one))]
        stage.finish(
            names=[
                one.skulls[i].name
                for one, i in track(with_volumes, "Screening")
                if screen(one.volume(i), one.qualities[i]).reasons
            ]
        )
    names = set(stage.results["names"])
    return [skull for skull in every if skull.name in names]
