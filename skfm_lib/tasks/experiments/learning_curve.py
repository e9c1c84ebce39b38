"""The learning curve of the aligner: its error against the number of real skulls.

Nested sets of real training skulls in the real mix of scores, sampled anew for each of
three seeds; equally many steps; the error of Table 2 on the test skulls; one planned
comparison, of all skulls against 36, in which more data helps if the difference exceeds
two standard errors.  The other comparisons are descriptive.  Both plans, each fixed
before its results were seen, are in chapter 8: 9, 36, 138 and all (726) skulls for 1000
steps, then 36 and all for 3000.
"""

from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from skfm_lib.models import Aligner
from skfm_lib.presets import AlignerConfig
from skfm_lib.study import stage_names
from skfm_lib.tasks.alignment import alignment_errors
from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.runs import Experiments
from skfm_lib.tasks.experiments.skull_pool import SkullPool
from skfm_lib.tasks.experiments.statistics import FULL, better
from skfm_lib.utils.errors import SkfmError

ERROR = "raw"  # the column of `alignment_errors` that Table 2 has
COLUMNS = ["set", "seed", "skulls", ERROR]
Points = dict[int, list[float]]  # number of skulls → the mean error of each seed, mm


def curve_sets(sizes: Sequence[int]) -> list[str]:
    """The training sets of a curve: of each size and, last, of all real skulls.

    SkfmError for a size below 1.

    >>> curve_sets([36, 9]), curve_sets([])
    (['9 real', '36 real', '100% real'], [])
    """
    if sizes and min(sizes) < 1:
        found = f"curve {list(sizes)}"
        raise SkfmError(found, "numbers of skulls from 1", 'such as -p curve "[9, 36]"')
    return [*(f"{n} real" for n in sorted(set(sizes))), FULL] if sizes else []


def training_errors(
    runs: Experiments, pool: SkullPool, names: Sequence[str], seeds: Sequence[int]
) -> pd.DataFrame:
    """Errors of finished aligners on the skulls that they were trained on.

    As `Experiments.run` returns those on the test skulls; ``skulls`` is the number of
    training skulls.  As many are evaluated as there are test skulls, in the same poses:
    some of the training skulls, or each several times.  Computed once for each
    experiment, and kept beside it.
    """
    tables = [pd.DataFrame(columns=COLUMNS)] if not names else []
    for name, seed in ((name, seed) for seed in seeds for name in names):
        of, after = runs.stage(name, seed), (stage_names.DATA,)
        count = of.results["skulls"]
        label = f"training-errors-{of.fingerprint}"
        settings = {"of": of.fingerprint, "seed": runs.study.seed}
        stage = runs.study.experiment(runs.task.folder, label, settings, after)
        if not stage.done:
            items = [i * count // len(pool.test) for i in range(len(pool.test))]
            clouds = pool.training(name, seed).subset(items)
            network = cast(Aligner, runs.network(name, seed))
            found = alignment_errors(network, clouds, runs.device, runs.study.seed)
            stage.finish(errors=found.to_dict("list"))
        about = {"set": name, "seed": seed, "skulls": count}
        tables.append(pd.DataFrame({**about, **stage.results["errors"]}))
    return pd.concat(tables, ignore_index=True)


def points(errors: pd.DataFrame, training: pd.DataFrame) -> Points:
    """The mean errors, mm, of the runs of `training` (`training_errors`)."""
    runs = errors[errors["seed"].isin(training["seed"])]
    means = runs.groupby(["set", "seed"])[ERROR].mean()
    return {n: means[name].to_list() for name, n in _sizes(training).items()}


def curve(
    test: pd.DataFrame, training: pd.DataFrame, settings: AlignerConfig
) -> dict[str, dict[str, Any]]:
    """Number of skulls → passes over them, errors and comparisons, in mm.

    Args:
        test: errors of `Experiments.run`; further sets and seeds are left out.
        training: the `training_errors`.
        settings: of all trainings.

    The 95 % intervals of errors on the test skulls cover skulls and seeds, those of
    the other errors cover seeds.  One training has no standard error.
    """
    runs = test[test["seed"].isin(training["seed"])]
    unseen, seen = points(test, training), points(training, training)
    rows: dict[str, dict[str, Any]] = {}
    for name, n in _sizes(training).items():
        rows[str(n)] = {
            "passes": settings.steps * settings.batch / n,
            "training": statistics.seed_interval(np.array(seen[n])),
            "test": statistics.contrast(runs, {name: 1.0}, ERROR),
            "gap": statistics.seed_interval(np.subtract(unseen[n], seen[n])),
        }
        if name != FULL:
            rows[str(n)] |= _against_all(runs, name)
    return rows


def _against_all(runs: pd.DataFrame, name: str) -> dict[str, Any]:
    """How much closer all skulls come than a set, in mm and in standard errors."""
    weights = better(FULL, name)
    gain = statistics.contrast(runs, weights, ERROR)
    if runs["seed"].nunique() < 2:
        return {"all closer by": gain}
    error = statistics.standard_error(runs, weights, ERROR)
    more = {"standard error": error, "in standard errors": gain.value / error}
    return {"all closer by": gain, **more}


def _sizes(training: pd.DataFrame) -> dict[str, int]:
    """Training set → its number of skulls, ascending."""
    sizes = training.groupby("set")["skulls"].first().sort_values()
    return {str(name): int(n) for name, n in sizes.items()}
