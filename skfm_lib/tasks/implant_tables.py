"""Tables and sentences of the `implant_benchmark`."""

from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from skfm_lib.metrics import Interval
from skfm_lib.tasks.implant_methods import COMPLETER, GIVEN, LINEAR, MIRRORED

Rows = dict[str, dict[str, Any]]


def overall(scores: pd.DataFrame) -> Rows:
    """A row for each method of `implant_errors`, of all defects.

    An absent implant has overlap 0 and is left out of HD95.  The intervals cover the
    choice of skulls, of which each has all kinds (`over_skulls`).
    """
    return {
        str(method): {
            "implants": f"{(rows['volume'] > 0).sum()} of {len(rows)}",
            "DSC": _mean(rows, "dsc"),
            "border DSC": _mean(rows, "border_dsc"),
            "HD95, mm": _mean(rows, "hd95"),
            "HD95, median": float(rows["hd95"].median()),
            "volume, share": float((rows["volume"] / rows["removed"]).median()),
        }
        for method, rows in scores.groupby("method", sort=False)
    }


def by_kind(scores: pd.DataFrame) -> Rows:
    """Kind of defect → method → ``DSC / border DSC, HD95 mm``, means."""
    return {
        str(kind): {
            str(method): _text(part)
            for method, part in rows.groupby("method", sort=False)
        }
        for kind, rows in scores.groupby("kind", sort=False)
    }


def in_words(scores: pd.DataFrame) -> str:
    """What the two tables say of the completer beside the other methods."""
    found = scores.pivot(index=["skull", "kind"], columns="method", values="dsc")
    best = str(found.mean().idxmax())
    number, skulls = len(found), scores["skull"].nunique()
    text = [
        f"Over {number} defects of {skulls} skulls, the {best} has the largest mean "
        f"DSC, {found[best].mean():.2f}."
    ]
    for other in (MIRRORED, LINEAR):
        gap = over_skulls(found[GIVEN] - found[other])
        text.append(
            f"With the position given, the completer is {_than(gap)} the {other}: its "
            f"DSC minus the other's, paired by defect, is {gap}."
        )
    hits = int((found[COMPLETER] > 0).sum())
    text.append(
        "Without the position, its implant overlaps the removed bone for "
        f"{hits} of {number} defects."
    )
    return " ".join(text)


def _than(gap: Interval) -> str:
    """How the first of two methods compares, by its overlap minus the other's.

    >>> _than(Interval(0.1, 0.05, 0.2)), _than(Interval(0.1, -0.1, 0.3))
    ('better than', 'not distinguishable from')
    """
    if gap.low > 0:
        return "better than"
    return "worse than" if gap.high < 0 else "not distinguishable from"


def over_skulls(values: pd.Series) -> Interval:
    """Mean of values with index level ``skull``, with Student's interval over skulls.

    That of one skull is infinite; without values, the mean is NaN.
    """
    means = values.groupby("skull").mean().dropna().to_numpy()
    if len(means) < 2:
        return Interval(float(means.mean()) if len(means) else np.nan, -np.inf, np.inf)
    value = float(means.mean())
    reach = float(stats.t.ppf(0.975, len(means) - 1) * stats.sem(means))
    return Interval(value, value - reach, value + reach)


def _mean(rows: pd.DataFrame, column: str) -> Interval:
    return over_skulls(rows.set_index("skull")[column])


def _text(rows: pd.DataFrame) -> str:
    dsc, border, far = (rows[name].mean() for name in ("dsc", "border_dsc", "hd95"))
    distance = f"{far:.1f} mm" if np.isfinite(far) else "none"
    return f"{dsc:.2f} / {border:.2f}, {distance}"
