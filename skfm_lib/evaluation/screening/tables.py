"""Table 9 from verdicts: shares of skulls, with intervals and beside false alarms."""

from collections.abc import Mapping

import numpy as np

from skfm_lib.evaluation.privacy.measures import wilson
from skfm_lib.evaluation.screening.measures import MEASURES
from skfm_lib.evaluation.screening.reference_ranges import Verdicts
from skfm_lib.evaluation.screening.tolerance_limits import Limits
from skfm_lib.metrics import Interval
from skfm_lib.metrics.confidence import difference

Rows = dict[str, dict[str, str]]
Sets = Mapping[str, Verdicts]


def share(flags: np.ndarray) -> Interval:
    """The share of True in `flags` (n,), with Wilson's 95 % interval."""
    return wilson(int(flags.sum()), len(flags))


def percent(part: Interval | float) -> str:
    """A share as text: ``4.3 % (2.1–8.5)`` with its interval, or ``4.3 %``."""
    if not isinstance(part, Interval):
        return f"{100 * part:.3g} %"
    value, *ends = (100 * x for x in part)
    low, high = (f"{x:.0f}" if abs(x) >= 10 else f"{x:.2g}" for x in ends)
    return f"{value:.3g} % ({low}–{high})"


def table_9(sets: Sets, held_out: Verdicts) -> dict[str, dict[str, Interval]]:
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


def as_text(rows: Mapping[str, Mapping[str, Interval]]) -> Rows:
    """Rows of `table_9` with their values as `percent`."""
    return {
        name: {column: percent(value) for column, value in row.items()}
        for name, row in rows.items()
    }


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
            "set to fail": percent(float(limits.share[m])),
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
