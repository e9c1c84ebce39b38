"""Statistics of the experiments: means, paired differences, the paper's claims."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from skfm_lib import metrics
from skfm_lib.metrics import Interval

LEVEL = 0.95
FULL, HALF = "100% real", "50% real"
OTFM, DDPM = " + 25% OTFM", " + 25% DDPM"


class Claim(NamedTuple):
    """A statement of the paper (§4.3): a weighted sum of sets' errors is above 0.

    `contrast`: set → weight; `quality`: the only score it is about, or None.
    """

    text: str
    contrast: Mapping[str, float]
    quality: int | None = None


def better(first: str, second: str) -> dict[str, float]:
    """The contrast of "`first` has the smaller error than `second`"."""
    return {second: 1.0, first: -1.0}


CLAIMS = (
    Claim("OTFM is better than DDPM alone", better("100% OTFM", "100% DDPM")),
    Claim(
        "OTFM is better than DDPM beside 100% real", better(FULL + OTFM, FULL + DDPM)
    ),
    Claim("OTFM is better than DDPM beside 50% real", better(HALF + OTFM, HALF + DDPM)),
    Claim("25% OTFM helps 100% real", better(FULL + OTFM, FULL)),
    Claim("25% OTFM helps 50% real", better(HALF + OTFM, HALF)),
    Claim(
        "and helps 50% real more",
        {HALF: 1.0, HALF + OTFM: -1.0, FULL: -1.0, FULL + OTFM: 1.0},
    ),
    Claim("a balanced set is better on QS 6", better("OTFM-b", "OTFM-s"), 6),
    Claim("and better than real skulls", better("OTFM-b", FULL), 6),
    Claim("and better over all scores", better("OTFM-b", "OTFM-s")),
)


def errors_of(table: pd.DataFrame, name: str, column: str) -> np.ndarray:
    """The errors (seeds, skulls) of one set, in mm, in the same order for all sets."""
    rows = table[table["set"] == name]
    return rows.pivot(index="seed", columns="name", values=column).to_numpy()


def mean(errors: np.ndarray) -> Interval:
    """Mean of errors (seeds, skulls), with the bootstrap interval over skulls.

    The interval of a single skull is infinite.
    """
    skulls = errors.mean(axis=0)
    if len(skulls) < 2:
        return Interval(float(skulls.mean()), -np.inf, np.inf)
    return metrics.bootstrap(np.mean, skulls, level=LEVEL)


def seed_interval(means: np.ndarray) -> Interval:
    """Mean of a value per seed, with the interval of Student's t; of one, without."""
    value, reach = float(means.mean()), 0.0
    if len(means) > 1:
        quantile = stats.t.ppf((1 + LEVEL) / 2, len(means) - 1)
        reach = float(quantile * stats.sem(means))
    return Interval(value, value - reach, value + reach)


def contrast(
    table: pd.DataFrame, weights: Mapping[str, float], column: str
) -> Interval:
    """The weighted sum of the mean errors of sets, paired by skull and seed.

    The interval covers the choice of test skulls (bootstrap of the paired sums) and
    the randomness of training (Student's t over the seeds, if there are two or more);
    the two add in quadrature.
    """
    sums = weighted_sums(table, weights, column)
    value, *ends = seed_interval(sums.mean(axis=1))
    return metrics.difference(mean(sums), Interval(0.0, *(end - value for end in ends)))


def standard_error(
    table: pd.DataFrame, weights: Mapping[str, float], column: str
) -> float:
    """Standard error of a `contrast` of two or more seeds and skulls.

    That of the means over skulls and that of the means over seeds, in quadrature:
    rather too large, since both hold what remains of a single error.
    """
    sums = weighted_sums(table, weights, column)
    return float(np.hypot(stats.sem(sums.mean(axis=1)), stats.sem(sums.mean(axis=0))))


def weighted_sums(
    table: pd.DataFrame, weights: Mapping[str, float], column: str
) -> np.ndarray:
    """The weighted sums (seeds, skulls) of the errors of sets: set → weight."""
    errors = [w * errors_of(table, s, column) for s, w in weights.items()]
    return np.sum(errors, axis=0)


def claim_contrast(
    table: pd.DataFrame, claim: Claim, column: str
) -> tuple[Interval | None, int]:
    """A claim's contrast, mm, and the number of seeds that all of its sets share.

    None where there is no such seed, or no skull of the claim's quality score.
    """
    rows = table[table["set"].isin(claim.contrast)]
    sets = rows.groupby("seed")["set"].nunique()
    rows = rows[rows["seed"].isin(sets.index[sets == len(claim.contrast)])]
    if claim.quality:
        rows = rows[rows["quality"] == claim.quality]
    if rows.empty:
        return None, 0
    return contrast(rows, claim.contrast, column), rows["seed"].nunique()


def conclusion(found: Interval | None, seeds: int) -> str:
    """Whether a contrast confirms its claim; one training decides nothing."""
    if found is None:
        return "not tried"
    if seeds < 2:
        return "undecided: one seed"
    if found.low > 0:
        return "confirmed"
    return "not confirmed" if found.high < 0 else "undecided"
