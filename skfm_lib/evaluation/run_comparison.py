"""Two runs of the study in one figure: their losses, and what their models generate."""

from statistics import fmean
from typing import NamedTuple

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skfm_lib.metrics import Interval, Share
from skfm_lib.study import Stage, Study, existing_study, stage_names
from skfm_lib.training.checkpoints import read_history
from skfm_lib.utils.errors import SkfmError
from skfm_lib.view.curves import COLOURS, draw_losses, plain_numbers

METRICS = "06_metrics"
LOSSES = {  # stage: title of its panel, quantity of its history
    stage_names.VQVAE: ("VQ-VAE", "reconstruction"),
    stage_names.OTFM: ("OTFM", "loss"),
    stage_names.DDPM: ("DDPM", "loss"),
    stage_names.DDPM_V: ("DDPM-v", "loss"),
    stage_names.OURS: ("ours", "loss"),
    stage_names.FEW_STEPS: ("shortcut", "loss"),
}
MEASURES = {  # title of its panel: stage, column of its results
    "FID ↓": (METRICS, "FID ↓"),
    "recall (PR) ↑": (METRICS, "PR ↑"),
    "failed ↓": (stage_names.FAILURES, "failed generations"),
}
REAL = ("held out", "autoencoder")  # rows of chapter 7 that no generative model made
LAST = 100  # steps, whose mean loss is in the table
Values = dict[str, Interval]  # model → value


class Results(NamedTuple):
    """What a run has finished.

    Attributes:
        losses: stage → its losses, by step.
        measures: title of `MEASURES` → model → value with its 95 % interval.
    """

    losses: dict[str, list[float]]
    measures: dict[str, Values]


class Comparison(NamedTuple):
    """Two runs.

    Attributes:
        runs: name → its results.
        alike: whether chapter 6 measured both with the same settings and skulls.
    """

    runs: dict[str, Results]
    alike: bool


def compare_runs(first: str, second: str) -> Comparison:
    """Read what two runs have finished in chapters 2, 3, 4, 6, 7, 13 and 17.

    Raises:
        SkfmError: where there is no such run, both are the same, one of them has
            finished none of these chapters, or a checkpoint cannot be read.
    """
    if first == second:
        raise SkfmError(f"run {first!r} beside itself", "the names of two runs")
    studies = [existing_study(name) for name in (first, second)]
    runs = {study.name: _results(study) for study in studies}
    return Comparison(runs, _measured_alike(*studies))


def _results(study: Study) -> Results:
    stages = {n: study.finished(n) for n in LOSSES if study.is_finished(n)}
    losses = {
        name: read_history(stage.folder / "checkpoint.pt")[LOSSES[name][1]]
        for name, stage in stages.items()
    }
    measures = {
        title: _column(study.finished(stage), column)
        for title, (stage, column) in MEASURES.items()
        if study.is_finished(stage)
    }
    if not losses and not measures:
        found = f"run {study.name!r} has finished nothing that is compared"
        raise SkfmError(found, "chapter 2 at least", "skfm study")
    return Results(losses, measures)


def _column(stage: Stage, column: str) -> Values:
    """A column of a chapter's table, of the generated sets."""
    rows = {name: row for name, row in stage.results.items() if name not in REAL}
    kind = Share if stage.name == stage_names.FAILURES else Interval
    return {name: kind(**row[column]) for name, row in rows.items()}


def _measured_alike(one: Study, other: Study) -> bool:
    """Whether distances of chapter 6 are to the same skulls, in the same features."""
    if not (one.is_finished(METRICS) and other.is_finished(METRICS)):
        return False
    data = [study.finished(stage_names.DATA).fingerprint for study in (one, other)]
    settings = [study.finished(METRICS).settings for study in (one, other)]
    return data[0] == data[1] and settings[0] == settings[1]


def figure(compared: Comparison) -> Figure:
    """Above the losses of each training, below the measures of each model.

    A colour is a run; what only one of them has finished stands alone.
    """
    runs = compared.runs.values()
    stages = [name for name in LOSSES if any(name in run.losses for run in runs)]
    titles = [name for name in MEASURES if any(name in run.measures for run in runs)]
    rows = [names for names in (stages, titles) if names]
    size = 3.0 * max(map(len, rows)), 2.8 * len(rows)
    drawn = plt.figure(figsize=size, layout="constrained")
    parts = drawn.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, names in zip(parts, rows):
        axes = part.subplots(1, len(names), squeeze=False)[0]
        for axis, name in zip(axes, names):
            draw = _draw_losses if name in LOSSES else _draw_measure
            draw(axis, name, compared)
    return drawn


def table(compared: Comparison) -> dict[str, dict[str, object]]:
    """What the figure shows, as rows: a training's last losses, a model's measures."""
    rows: dict[str, dict[str, object]] = {}
    for run, found in compared.runs.items():
        for stage, values in found.losses.items():
            title, quantity = LOSSES[stage]
            label = f"{title}, {quantity}, mean of the last {LAST} steps"
            rows.setdefault(label, {})[run] = fmean(values[-LAST:])
    for run, found in compared.runs.items():
        for title, own in found.measures.items():
            for model, value in own.items():
                rows.setdefault(f"{model}, {title}", {})[run] = value
    return rows


def _draw_losses(axis: Axes, stage: str, compared: Comparison) -> None:
    title, quantity = LOSSES[stage]
    for colour, (name, run) in zip(COLOURS, compared.runs.items()):
        if stage in run.losses:
            own = {name: {quantity: run.losses[stage]}}
            draw_losses(axis, own, quantity, colours=[colour])
    axis.set_title(title, fontsize=10)


def _draw_measure(axis: Axes, title: str, compared: Comparison) -> None:
    """One point with its interval for each run and model."""
    runs = compared.runs
    every = [run.measures.get(title, {}) for run in runs.values()]
    models = list(dict.fromkeys(model for own in every for model in own))
    for shift, colour, name, own in zip((-0.1, 0.1), COLOURS, runs, every):
        value, low, high = np.array([*own.values()]).reshape(-1, 3).T
        x, reach = [models.index(m) + shift for m in own], (value - low, high - value)
        axis.errorbar(x, value, reach, fmt="o", color=colour, markersize=4, label=name)
    axis.set_xticks(range(len(models)), models)
    axis.grid(alpha=0.25, axis="y")
    axis.legend(frameon=False, fontsize=8)
    if MEASURES[title][0] == METRICS and not compared.alike:
        title += "\n(to other skulls, or by other features)"
    if title.startswith("FID"):  # of a failed training a hundred times that of others
        axis.set_yscale("log")
        plain_numbers(axis)
    axis.set_title(title, fontsize=10)
