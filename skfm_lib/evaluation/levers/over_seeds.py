"""Complete trainings with several seeds: every seed, and the median."""

from collections.abc import Mapping, Sequence

import pandas as pd

from skfm_lib.evaluation.held_out import COLUMNS, HeldOut
from skfm_lib.evaluation.levers.models import Model
from skfm_lib.evaluation.levers.plan import Plan
from skfm_lib.evaluation.levers.trainings import Source
from skfm_lib.evaluation.seed_comparison import OverSeeds

STEPS = "training steps"


def seed_points(plan: Plan, held_out: HeldOut) -> pd.DataFrame:
    """One row per model and seed of the complete trainings; columns as `COLUMNS`."""
    rows = [
        {"model": model.name, "seed": seed, **_values(source, plan, held_out)}
        for (model, seed), source in plan.complete().items()
    ]
    return pd.DataFrame(rows)


def stopping_points(plan: Plan, held_out: HeldOut) -> pd.DataFrame:
    """One row per number of training steps of ours; columns as `COLUMNS`."""
    rows = [
        {"seed": seed, STEPS: step, **_values(source, plan, held_out)}
        for (seed, step), source in plan.stopping().items()
    ]
    return pd.DataFrame(rows)


def seed_table(points: pd.DataFrame) -> dict[str, dict[str, OverSeeds]]:
    """Model → column → the values of every seed, with their median."""
    return {
        str(model): {name: OverSeeds(tuple(own[name])) for name in COLUMNS}
        for model, own in points.groupby("model", sort=False)
    }


def seed_gaps(points: pd.DataFrame, base: Model) -> dict[str, dict[str, OverSeeds]]:
    """Model → column → its value minus that of the base, seed by seed."""
    by_model = {str(model): own for model, own in points.groupby("model", sort=False)}
    first = by_model.pop(base.name).set_index("seed")
    return {
        model: {
            name: OverSeeds(tuple(own.set_index("seed")[name] - first[name]))
            for name in COLUMNS
        }
        for model, own in by_model.items()
    }


def _values(source: Source, plan: Plan, held_out: HeldOut) -> Mapping[str, float]:
    qualities: Sequence[int] = plan.qualities
    made = source.skulls(qualities, plan.study.seed)
    return held_out.compare(made, source.measures(len(qualities)))
