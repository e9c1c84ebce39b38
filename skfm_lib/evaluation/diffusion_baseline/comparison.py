"""Sets of skulls by training steps and by sampling steps, against validation skulls."""

from collections.abc import Sequence

import pandas as pd

from skfm_lib.evaluation.diffusion_baseline.trainings import Plan, Training
from skfm_lib.evaluation.held_out import FAILED, FID, HeldOut
from skfm_lib.evaluation.table1_columns import ANATOMY
from skfm_lib.generation import LABELS

MEASURED = (FID, ANATOMY, FAILED)  # that are shown
TRAINING, SAMPLING = "training steps", "sampling steps"


def compare_steps(
    trainings: Sequence[Training],
    plan: Plan,
    held_out: HeldOut,
    qualities: Sequence[int],
    seed: int,
) -> pd.DataFrame:
    """One row per training and point of the plan; columns model … and `COLUMNS`.

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
