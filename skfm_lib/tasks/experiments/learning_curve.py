"""Learning curves: a task's error against the number of real training skulls.

Nested sets of real training skulls in the real mix of scores, sampled anew for each
seed; equally many steps; the error on the test skulls and on skulls of the training.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from skfm_lib.presets import TrainingConfig
from skfm_lib.study import stage_names
from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.claims import better
from skfm_lib.tasks.experiments.mixes import mix_of
from skfm_lib.tasks.experiments.plan import passes
from skfm_lib.tasks.experiments.runs import Experiments
from skfm_lib.tasks.experiments.skull_pool import SkullPool

Points = dict[int, list[float]]  # number of skulls → the mean error of each seed, mm
FEWEST = 2  # sets of a curve
LABEL = "training-errors"  # of what is computed here, before the experiment's own


def curve_sets(trainings: Mapping[str, Iterable[int]]) -> list[str]:
    """The sets of a grid that hold real skulls alone; none if there is only one.

    >>> curve_sets({"100% real": [0], "OTFM-b": [0], "9 real": [0]})
    ['100% real', '9 real']
    """
    names = [name for name in trainings if mix_of(name).only_real]
    return names if len(names) >= FEWEST else []


def common_seeds(trainings: Mapping[str, Iterable[int]]) -> list[int]:
    """The seeds that all sets of the curve have."""
    own = [set(trainings[name]) for name in curve_sets(trainings)]
    return sorted(set.intersection(*own)) if own else []


def training_errors(
    runs: Experiments,
    pool: SkullPool,
    trainings: Mapping[str, Iterable[int]],
    column: str,
) -> pd.DataFrame:
    """Errors of finished networks on the skulls that they were trained on.

    As `Experiments.run` returns those on the test skulls; ``skulls`` is the number of
    training skulls.  As many are evaluated as there are test skulls, as the test skulls
    are: some of the training skulls, or each several times.  Computed once for each
    experiment, and kept beside it.
    """
    columns = ["set", "seed", "skulls", column]
    tables, sets = [pd.DataFrame(columns=columns)], curve_sets(trainings)
    for name, seed in ((n, s) for s in common_seeds(trainings) for n in sets):
        skulls = runs.stage(name, seed).results["skulls"]
        about = {"set": name, "seed": seed, "skulls": skulls}
        errors = _errors_in_training(runs, pool, name, seed)
        tables.append(pd.DataFrame({**about, **errors}))
    return pd.concat(tables[1:] or tables, ignore_index=True)


def _errors_in_training(
    runs: Experiments, pool: SkullPool, name: str, seed: int
) -> dict[str, list]:
    """The errors of one training, of the task's own way only."""
    of, after = runs.stage(name, seed), (stage_names.DATA,)
    label = f"{LABEL}-{of.fingerprint}"
    settings = {"of": of.fingerprint, "seed": runs.study.seed}
    stage = runs.study.experiment(runs.task.folder, label, settings, after)
    if not stage.done:
        count, tests = of.results["skulls"], len(pool.test)
        clouds = pool.training(name, seed)
        clouds = clouds.subset([i * count // tests for i in range(tests)])
        given = clouds, pool.volumes(clouds), runs.device, runs.study.seed
        found = runs.task.errors(runs.network(name, seed), *given)
        stage.finish(errors=own_way(found, runs.task.name).to_dict("list"))
    return stage.results["errors"]


def own_way(errors: pd.DataFrame, task: str) -> pd.DataFrame:
    """The errors of the task's network, without those of other ways beside it."""
    return errors[errors["way"] == task] if "way" in errors else errors


def points(errors: pd.DataFrame, training: pd.DataFrame, column: str) -> Points:
    """The mean errors, mm, of the runs of `training` (`training_errors`)."""
    runs = errors[errors["seed"].isin(training["seed"])]
    means = runs.groupby(["set", "seed"])[column].mean()
    return {n: means[name].to_list() for name, n in _sizes(training).items()}


def curve(
    test: pd.DataFrame,
    training: pd.DataFrame,
    settings: TrainingConfig,
    column: str,
) -> dict[str, dict[str, Any]]:
    """Training set → its skulls, passes over them, errors and comparisons, in mm.

    Args:
        test: errors of `Experiments.run`; further sets and seeds are left out.
        training: the `training_errors`.
        settings: of all trainings.
        column: of the errors.

    The intervals of errors on the test skulls cover skulls and seeds, those of the
    other errors cover seeds.
    """
    runs = test[test["seed"].isin(training["seed"])]
    seen, unseen = (points(t, training, column) for t in (training, test))
    rows: dict[str, dict[str, Any]] = {}
    sizes = _sizes(training)
    largest = list(sizes)[-1:]
    for name, n in sizes.items():
        rows[name] = {
            "skulls": n,
            "passes": passes(settings, n),
            "training": statistics.seed_interval(np.array(seen[n])),
            "test": statistics.contrast(runs, {name: 1.0}, column).interval(),
            "gap": statistics.seed_interval(np.subtract(unseen[n], seen[n])),
        }
        if [name] != largest:
            gain = statistics.contrast(runs, better(largest[0], name), column)
            rows[name][f"{largest[0]} closer by"] = gain.interval()
    return rows


def _sizes(training: pd.DataFrame) -> dict[str, int]:
    """Training set → its number of skulls, ascending."""
    sizes = training.groupby("set")["skulls"].first().sort_values()
    return {str(name): int(n) for name, n in sizes.items()}
