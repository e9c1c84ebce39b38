"""Table 9 from verdicts: shares of skulls, with intervals and beside false alarms."""

from collections.abc import Mapping

import numpy as np

from skfm_lib.evaluation.screening.measures import MEASURES
from skfm_lib.evaluation.screening.reference_ranges import Verdicts
from skfm_lib.evaluation.screening.tolerance_limits import Limits
from skfm_lib.metrics import Share, share
from skfm_lib.metrics.confidence import difference

Rows = dict[str, dict[str, str]]
Sets = Mapping[str, Verdicts]


def table_9(sets: Sets, held_out: Verdicts) -> dict[str, dict[str, Share]]:
    """The columns of Table 9 for each set, and what is left beyond false alarms.

    failed generations   some measure is beyond its limit
    conditioning errors  the score shown is not the one asked for
    either               one of the two
    beyond chance        failed generations less those among `held_out` real skulls
    """
    chance = share(held_out.failed)
    rows = {}
    for name, verdicts in sets.items():
        failed = share(verdicts.failed)
        rows[name] = {
            "failed generations": failed,
            "conditioning errors": share(verdicts.misconditioned),
            "either": share(verdicts.failed | verdicts.misconditioned),
        }
        if verdicts is not held_out:
            rows[name]["beyond chance"] = difference(failed, chance)
    return rows


def thresholds(limits: Limits) -> Rows:
    """The limits of each measure, by the quality score that a skull shows.

    Such as ``≤ 1.47`` or ``124 to 157``; without those it cannot be taken of.
    """
    rows = {}
    for m, measure in enumerate(MEASURES):
        ends = zip(limits.scores, limits.low[:, m], limits.high[:, m])
        taken = [end for end in ends if not measure.scores or end[0] in measure.scores]
        rows[measure.name] = {"unit": measure.unit} | {
            f"QS {q}": _within(low, high) for q, low, high in taken
        }
    return rows


def _within(low: float, high: float) -> str:
    """The range between two limits; no measure is below 0."""
    ends = [f"{end:.0f}" if abs(end) >= 100 else f"{end:.3g}" for end in (low, high)]
    if low <= 0:
        return f"≤ {ends[1]}"
    return f"{ends[0]} to {ends[1]}" if np.isfinite(high) else f"≥ {ends[0]}"


def by_measure(sets: Sets, limits: Limits) -> Rows:
    """How many skulls each measure fails alone; the share of real ones it was set to.

    A skull may fail by several measures.
    """
    return {
        measure.name: {
            "tail": measure.tail,
            "set to fail": f"{100 * limits.share[m]:.3g} %",
            **{name: str(int((v.excess[:, m] > 0).sum())) for name, v in sets.items()},
        }
        for m, measure in enumerate(MEASURES)
    }


def by_score(sets: Sets) -> Rows:
    """Failed and mis-conditioned skulls among those asked for, by quality score."""
    rows = {}
    for name, verdicts in sets.items():
        asked = {q: verdicts.asked == q for q in np.unique(verdicts.asked)}
        both = {"failed": verdicts.failed, "mis-conditioned": verdicts.misconditioned}
        for label, flags in both.items():
            rows[f"{name}, {label}"] = {
                f"QS {q}": f"{int(flags[mine].sum())} of {int(mine.sum())}"
                for q, mine in asked.items()
            }
    return rows
