"""Means of errors and weighted differences of them, paired by skull and seed."""

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd

from skfm_lib.metrics import Interval
from skfm_lib.tasks.experiments.claims import Claim
from skfm_lib.tasks.experiments.conclusions import ClaimTest
from skfm_lib.tasks.experiments.crossed import Estimate, estimate
from skfm_lib.tasks.experiments.plan import Plan


def errors_of(table: pd.DataFrame, name: str, column: str) -> np.ndarray:
    """The errors (units, skulls) of one set, in mm, in the same order for all sets.

    Units are the seeds of its trainings; where the synthetic skulls of several
    generators were used in turn, they are the generators, and errors are means over
    the seeds of each.
    """
    unit = "generator" if generators(table) > 1 else "seed"
    rows = table[table["set"] == name]
    found = rows.pivot_table(index=unit, columns="name", values=column)
    return found.to_numpy()


def generators(table: pd.DataFrame) -> int:
    """How many trainings of each generator the synthetic skulls of a table are from."""
    return table["generator"].nunique() if "generator" in table else 1


def mean(errors: np.ndarray) -> Interval:
    """Mean of errors (units, skulls), with the interval over both."""
    return estimate(errors).interval()


def seed_interval(means: np.ndarray) -> Interval:
    """Mean of a value per seed, with the interval of Student's t; of one, without."""
    if len(means) < 2:
        return Interval(*3 * (float(means.mean()),))
    error = means.std(ddof=1) / np.sqrt(len(means))
    return Estimate(float(means.mean()), float(error), len(means) - 1).interval()


def contrast(
    table: pd.DataFrame, weights: Mapping[str, float], column: str
) -> Estimate:
    """The weighted sum of the mean errors of sets: set → weight."""
    return estimate(weighted_sums(table, weights, column))


def weighted_sums(
    table: pd.DataFrame, weights: Mapping[str, float], column: str
) -> np.ndarray:
    """The weighted sums (units, skulls) of the errors of sets: set → weight."""
    errors = [w * errors_of(table, s, column) for s, w in weights.items()]
    return np.sum(errors, axis=0)


def shared(table: pd.DataFrame, names: Iterable[str]) -> pd.DataFrame:
    """The rows of sets, of the seeds that all of these have."""
    wanted = set(names)
    rows = table[table["set"].isin(wanted)]
    sets = rows.groupby("seed")["set"].nunique()
    return rows[rows["seed"].isin(sets.index[sets == len(wanted)])]


def claim_test(
    table: pd.DataFrame, claim: Claim, plan: Plan, published: float | None
) -> ClaimTest | None:
    """The test of a claim, by the seeds that all of its sets share.

    `published` is the difference in the paper, mm, which limits the margin.  None
    where there is no such seed, or no skull of the claim's quality score.
    """
    rows = shared(table, claim.contrast)
    if claim.quality:
        rows = rows[rows["quality"] == claim.quality]
    if rows.empty:
        return None
    sums = weighted_sums(rows, claim.contrast, plan.column)
    return ClaimTest(
        estimate(sums),
        plan.margin_of(claim.quality, published or 0.0),
        claim.no_worse,
        len(sums),
    )
