"""Synthetic skulls that failed the screening of chapter 7: a negative control."""

from collections.abc import Callable, Sequence

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import Skull
from skfm_lib.generation import Outcome
from skfm_lib.study import Study, stage_names
from skfm_lib.tasks.experiments.mixes import Counts
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

# Of a study: of a stored volume and its score, what fails; None before chapter 7.
Screening = Callable[[Study], Callable[[np.ndarray, int], Outcome] | None]
FOLDER = "08_experiments"


def failed_skulls(
    sets: Sequence[SkullSet],
    wanted: Counts,
    study: Study,
    screening: Screening | None,
) -> list[Skull]:
    """The skulls of a model that fail a study's screening.

    Computed once for the same skulls, and kept.  SkfmError without a screening.

    Args:
        sets: of the model, one for each quality score.
        wanted: how many skulls of each score are screened.
    """
    every = [(one, i) for one in sets for i in range(wanted[one.qualities[0]])]
    about = {
        "seed": study.seed,
        "sets": [str(one.folder.relative_to(study.folder.parent)) for one in sets],
        "skulls": {str(quality): n for quality, n in wanted.items()},
    }
    after = (stage_names.DATA, stage_names.FAILURES)
    stage = study.experiment(FOLDER, "failed", about, after)
    if not stage.done:
        screen = screening(study) if screening else None
        if screen is None:
            found = "a set of skulls that failed, without a screening"
            raise SkfmError(found, "a finished chapter 7", "skfm run 07")
        stage.finish(
            names=[
                one.skulls[i].name
                for one, i in track(every, "Screening")
                if screen(one.volume(i), one.qualities[i]).reasons
            ]
        )
    names = set(stage.results["names"])
    return [skull for one in sets for skull in one.skulls if skull.name in names]
