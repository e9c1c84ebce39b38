"""Tables and figures of the comparison: every seed shown, and the median."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from skfm_lib.evaluation.diffusion_baseline.comparison import MEASURED
from skfm_lib.evaluation.held_out import FAILED
from skfm_lib.evaluation.seed_comparison import OverSeeds
from skfm_lib.view.curves import COLOURS, MARKERS, plain_numbers

Rows = dict[str, dict[str, object]]


def table(points: pd.DataFrame, axis: str, reference: Mapping[str, float]) -> Rows:
    """``FID ↓, OTFM`` … → steps along `axis` → median, and every seed in brackets."""
    rows: Rows = {}
    for name in MEASURED:
        for model, own in points.groupby("model", sort=False):
            rows[f"{name}, {model}"] = {
                f"{steps}": OverSeeds(tuple(same[name]))
                for steps, same in own.groupby(axis)
            }
        rows[f"{name}, real skulls"] = {"reference": reference[name]}
    return rows


def last_times(errors: Mapping[str, pd.DataFrame], count: int) -> Rows:
    """``t`` → errors of each model at the `count` last times, over its seeds.

    `errors` of `prediction_error.data_errors`, by ``MODEL, seed N``.
    """
    rows: Rows = {}
    models = list(dict.fromkeys(name.split(",")[0] for name in errors))
    for model in models:
        seeds = [rows for name, rows in errors.items() if name.split(",")[0] == model]
        for item in seeds[0].index[: -count - 1 : -1]:
            each = [one.loc[item] for one in seeds]
            rows[f"{model}, t = {each[0]['t']:.4g}"] = {
                "√ᾱ": float(each[0]["signal"]),
                "prediction": OverSeeds(tuple(one["target"] for one in each)),
                "x̂₀ free": OverSeeds(tuple(one["free"] for one in each)),
                "x̂₀ clamped": OverSeeds(tuple(one["clamped"] for one in each)),
            }
    return rows


def step_curves(
    points: pd.DataFrame, axis: str, reference: Mapping[str, float]
) -> Figure:
    """A panel for each measure over `axis`: a dot a seed, a line through the medians.

    The dashed line is the reference.
    """
    figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
    for panel, name in zip(axes, MEASURED):
        models = points.groupby("model", sort=False)
        for (model, own), colour, marker in zip(models, COLOURS, MARKERS):
            dots = {"color": colour, "marker": marker, "s": 14, "alpha": 0.5}
            panel.scatter(own[axis], own[name], **dots)
            medians = own.groupby(axis)[name].median()
            panel.plot(medians.index, medians, color=colour, label=model)
        panel.axhline(reference[name], color="0.4", linestyle="--", label="real skulls")
        panel.set(xlabel=axis, title=name, xscale="log")
        panel.set_xticks(sorted(points[axis].unique()), minor=False)
        _scale(panel, name)
    axes[0].legend(fontsize=9)
    return figure


def error_curves(errors: Mapping[str, pd.DataFrame]) -> Figure:
    """x̂_0's error over t/T, free and clamped, of several networks; see `data_errors`.

    `errors` are by the name of the network; those of one model share a colour.
    """
    figure, axes = plt.subplots(
        1, 2, figsize=(9, 3.6), sharey=True, layout="constrained"
    )
    models = list(dict.fromkeys(name.split(",")[0] for name in errors))
    for panel, column in zip(axes, ("free", "clamped")):
        labelled = set()
        for name, rows in errors.items():
            model = name.split(",")[0]
            line = {"color": COLOURS[1 + models.index(model)], "alpha": 0.7}
            label = None if model in labelled else model
            panel.plot(rows["t"], rows[column], label=label, **line)
            labelled.add(model)
        panel.axhline(1, color="0.4", linestyle="--", label="spread of the data")
        panel.set(xlabel="t", yscale="log", title=f"x̂₀ {column}")
        panel.grid(alpha=0.25)
    axes[0].set_ylabel("root mean squared error of x̂₀")
    axes[0].legend(fontsize=9)
    return figure


def _scale(panel: Axes, name: str) -> None:
    panel.xaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_minor_locator(NullLocator())
    if name == FAILED:
        panel.set_ylim(0, 1.02)
    else:
        panel.set_yscale("log")
        plain_numbers(panel)
    panel.grid(alpha=0.25)
