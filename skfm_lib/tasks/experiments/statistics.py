"""Sets compared on the same test: means, paired differences, the paper's claims."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import stats

from skfm_lib import metrics
from skfm_lib.metrics import Interval

LEVEL = 0.95


@dataclass(frozen=True)
class Claim:
    """Something the paper says of its training sets.

    contrast  set → weight: the weighted sum of the sets' errors is above 0, if so
    quality   the only score that it speaks of, or None
    about     which of the three claims of §4.3 it belongs to
    """

    text: str
    contrast: Mapping[str, float]
    about: str
    quality: int | None = None


class Answer(NamedTuple):
    """A claim, its contrast (mm) and the number of trainings that it rests on."""

    claim: Claim
    found: Interval
    seeds: int


def better(first: str, second: str) -> dict[str, float]:
    """The contrast of "`first` has the smaller error than `second`"."""
    return {second: 1.0, first: -1.0}


FULL, HALF = "100% real", "50% real"
OTFM, BALANCE, SCARCE = "OTFM or DDPM", "balance", "scarce data"
GAINS = {HALF: 1.0, f"{HALF} + 25% OTFM": -1.0, FULL: -1.0, f"{FULL} + 25% OTFM": 1.0}
CLAIMS = (
    Claim("OTFM is better than DDPM alone", better("100% OTFM", "100% DDPM"), OTFM),
    *(
        Claim(
            f"OTFM is better than DDPM beside {real}",
            better(f"{real} + 25% OTFM", f"{real} + 25% DDPM"),
            OTFM,
        )
        for real in (FULL, HALF)
    ),
    *(
        Claim(f"25% OTFM helps {real}", better(f"{real} + 25% OTFM", real), SCARCE)
        for real in (FULL, HALF)
    ),
    Claim("and helps 50% real more", GAINS, SCARCE),
    Claim("a balanced set is better on QS 6", better("OTFM-b", "OTFM-s"), BALANCE, 6),
    Claim("and better than real skulls", better("OTFM-b", FULL), BALANCE, 6),
    Claim("and better over all scores", better("OTFM-b", "OTFM-s"), BALANCE),
)


def errors_of(
    table: pd.DataFrame, name: str, column: str, quality: int | None = None
) -> np.ndarray:
    """The errors (seeds, skulls) of one set, in mm, in one order for all sets."""
    rows = table[table["set"] == name]
    if quality is not None:
        rows = rows[rows["quality"] == quality]
    return rows.pivot(index="seed", columns="name", values=column).to_numpy()


def mean(errors: np.ndarray) -> Interval:
    """Mean of errors (seeds, skulls), with the bootstrap interval over skulls.

    It shows chance in which skulls test; a single skull has none that is known, and
    so an infinite one.
    """
    skulls = errors.mean(axis=0)
    if len(skulls) < 2:
        return Interval(float(skulls.mean()), -np.inf, np.inf)
    return metrics.bootstrap(np.mean, skulls, level=LEVEL)


def contrast(
    table: pd.DataFrame,
    weights: Mapping[str, float],
    column: str,
    quality: int | None = None,
) -> Interval:
    """The weighted sum of the mean errors of sets, skull by skull and seed by seed.

    The interval shows both chance in which skulls test (bootstrap, of the paired
    sums) and chance in training, by Student's t over the seeds (two or more); the
    two add in quadrature.
    """
    sums = sum(w * errors_of(table, s, column, quality) for s, w in weights.items())
    found, seeds = mean(sums), sums.mean(axis=1)
    reach = 0.0
    if len(seeds) > 1:
        spread = seeds.std(ddof=1) / np.sqrt(len(seeds))
        reach = float(stats.t.ppf((1 + LEVEL) / 2, len(seeds) - 1) * spread)
    down = np.hypot(found.value - found.low, reach)
    up = np.hypot(found.high - found.value, reach)
    return Interval(found.value, float(found.value - down), float(found.value + up))


def verdict(found: Interval, seeds: int) -> str:
    """What a contrast says of its claim; one training can decide nothing."""
    if seeds < 2:
        return "undecided: one seed"
    if found.low > 0:
        return "confirmed"
    return "not confirmed" if found.high < 0 else "undecided"


def answers(
    table: pd.DataFrame, column: str, claims: Collection[Claim] = CLAIMS
) -> list[Answer]:
    """The claims whose sets were all tried, each by the seeds that all of them have."""
    scores, found = {None, *table["quality"]}, []
    for claim in claims:
        rows = _of_shared_seeds(table, claim.contrast)
        if claim.quality in scores and len(rows):
            gap = contrast(rows, claim.contrast, column, claim.quality)
            found.append(Answer(claim, gap, rows["seed"].nunique()))
    return found


def _of_shared_seeds(table: pd.DataFrame, names: Collection[str]) -> pd.DataFrame:
    """The rows of the named sets, of seeds with which each of them was trained."""
    rows = table[table["set"].isin(names)]
    sets = rows.groupby("seed")["set"].nunique()
    return rows[rows["seed"].isin(sets.index[sets == len(names)])]
