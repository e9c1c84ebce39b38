"""Table 9 from screening results, and the tables that explain it."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from skfm_lib.evaluation.screening.measures import MEASURES, NAMES, Skulls
from skfm_lib.evaluation.screening.planted_damage import Damaged
from skfm_lib.evaluation.screening.reference_ranges import Results, ScreeningResult
from skfm_lib.evaluation.screening.tolerance_limits import Limits
from skfm_lib.metrics import Share, share
from skfm_lib.metrics.confidence import difference


def table_9(results: Results, held_out: ScreeningResult) -> dict[str, dict[str, Share]]:
    """The columns of Table 9 for each set, and the failures beyond false alarms.

    ``beyond chance``: failed generations less the failures of `held_out` real skulls.
    """
    rows = {}
    for name, result in results.items():
        rows[name] = {
            "failed generations": share(result.failed),
            "conditioning errors": share(result.misconditioned),
            "either": share(result.failed | result.misconditioned),
        }
        if result is not held_out:
            beyond = difference(share(result.failed), share(held_out.failed))
            rows[name]["beyond chance"] = beyond
    return rows


def thresholds(limits: Limits) -> dict[str, dict[str, str]]:
    """The limits of each measure by quality score, such as ``124 to 157``."""
    rows = {}
    for m, measure in enumerate(MEASURES):
        ends = zip(limits.scores, limits.low[:, m], limits.high[:, m])
        rows[measure.name] = {"unit": measure.unit} | {
            f"QS {q}": _range(low, high)
            for q, low, high in ends
            if not measure.scores or q in measure.scores
        }
    return rows


def sensitivity(
    sets: Mapping[str, Skulls], results: Results
) -> dict[str, dict[str, Share | str | int]]:
    """Skulls of each set that fail, and the measures by which most do.

    The sets are `Damaged` ones, with the size of the damage and the reason for the full
    size; those of other kinds have neither.
    """
    rows: dict[str, dict[str, Share | str | int]] = {}
    for name, skulls in sets.items():
        beyond = pd.Series((results[name].excess > 0).sum(axis=0), NAMES)
        most = beyond[beyond > 0].sort_values(ascending=False, kind="stable")[:3]
        size = why = "–"
        if isinstance(skulls, Damaged):
            size = f"{skulls.size:g} ({skulls.damage.means})"
            why = skulls.damage.reason if skulls.size == skulls.damage.size else "–"
        rows[name] = {
            "size, mm": size,
            "a failure because": why,
            "skulls": len(skulls),
            "fail": share(results[name].failed),
            "mostly by": ", ".join(f"{m} {n}" for m, n in most.items()) or "–",
        }
    return rows


def _range(low: float, high: float) -> str:
    """The range between two limits; no measure is below 0."""
    ends = [f"{end:.0f}" if abs(end) >= 100 else f"{end:.3g}" for end in (low, high)]
    if low <= 0:
        return f"≤ {ends[1]}"
    return f"{ends[0]} to {ends[1]}" if np.isfinite(high) else f"≥ {ends[0]}"


def by_measure(results: Results, limits: Limits) -> dict[str, dict[str, str | int]]:
    """Skulls beyond the limits of each measure, and the expected share of real ones."""
    return {
        measure.name: {
            "tail": measure.tail,
            "expected share": f"{100 * limits.share[m]:.3g} %",
            **{name: int((r.excess[:, m] > 0).sum()) for name, r in results.items()},
        }
        for m, measure in enumerate(MEASURES)
    }


def by_score(results: Results) -> dict[str, dict[str, str]]:
    """Failed and mis-conditioned skulls of each requested quality score."""
    rows = {}
    for name, result in results.items():
        both = {"failed": result.failed, "mis-conditioned": result.misconditioned}
        for label, flags in both.items():
            groups = pd.Series(flags).groupby(result.requested)
            rows[f"{name}, {label}"] = {
                f"QS {q}": f"{group.sum()} of {len(group)}" for q, group in groups
            }
    return rows
