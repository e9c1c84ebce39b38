"""How every metric answers to known harm, one panel a metric."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skfm_lib.evaluation.metric_sanity import (
    COLUMNS,
    EXPECTED,
    UNHARMED,
    Responses,
    expected,
)
from skfm_lib.metrics import Interval

COLOURS = dict(zip(EXPECTED, ("#1f5a94", "#c4622d", "#4b8b3b", "#7a4b94", "#3c3c3c")))
MET, MISSED = "#2e7d32", "#c62828"


def response_panels(
    found: Responses, answers: Mapping[str, Mapping[str, str]]
) -> Figure:
    """One panel a metric: values with 95 % intervals, kinds of harm side by side.

    The grey band is the interval of the unharmed skulls; where a kind of harm comes
    in several strengths, they grow to the right.  Above it stands what the metric's
    definition says (the symbols of `metric_sanity.EXPECTED`), green where the metric
    followed and red where not.
    """
    figure, axes = plt.subplots(
        2, 5, figsize=(12.5, 5.6), sharex=True, layout="constrained"
    )
    for axis, column in zip(axes.flat, COLUMNS):
        _panel(axis, column, found, answers[column])
    return figure


def _panel(
    axis: Axes, column: str, found: Responses, answers: Mapping[str, str]
) -> None:
    (unharmed,) = found[UNHARMED].values()
    value, low, high = unharmed.row[column]
    axis.axhspan(low, high, color="0.87", zorder=0)
    axis.axhline(value, color="0.5", linewidth=0.8, zorder=1)
    centres, start = [], 0.0
    for kind, colour in COLOURS.items():
        places = start + np.arange(len(found[kind]))
        _series(axis, places, [r.row[column] for r in found[kind].values()], colour)
        centres.append(places.mean())
        start = places[-1] + 2
        wanted, met = expected(kind)[column], "not met" not in answers[kind]
        if wanted != "·":
            _above(axis, centres[-1], wanted, MET if met else MISSED)
    axis.set_xticks(centres, list(COLOURS), rotation=55, ha="right", fontsize=9)
    axis.set_title(column, fontsize=10, pad=18)
    axis.tick_params(axis="y", labelsize=8)
    if column.startswith(("FID", "KID")):
        linear = 10 ** np.ceil(np.log10(max(-low, high, 1e-12)))
        axis.set_yscale("symlog", linthresh=linear)
        axis.set_ylim(bottom=min(1.5 * low, -0.1 * linear))


def _series(
    axis: Axes, places: np.ndarray, values: Sequence[Interval], colour: str
) -> None:
    heights = [v.value for v in values]
    reach = [[v.value - v.low for v in values], [v.high - v.value for v in values]]
    axis.errorbar(
        places, heights, np.abs(reach), color=colour, marker="o", ms=4, lw=1, capsize=2
    )


def _above(axis: Axes, centre: float, symbol: str, colour: str) -> None:
    axis.text(
        centre, 1.02, symbol, color=colour, ha="center", va="bottom", fontsize=12,
        weight="bold", transform=axis.get_xaxis_transform(),
    )  # fmt: skip
