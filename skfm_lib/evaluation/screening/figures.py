"""Figures of screening: measures with their limits, and rendered failed skulls."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skfm_lib.evaluation.screening.measures import MEASURES, Skulls
from skfm_lib.evaluation.screening.reference_ranges import Results
from skfm_lib.evaluation.screening.tolerance_limits import Limits
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.view.gallery import Viewer, inline
from skfm_lib.view.meshes import draw
from skfm_lib.view.slices import panels

COLOURS = ("#8a857a", "#c9a227", "#c4622d", "#1f5a94", "#4b8b3b")
RIM = "#111111"
COLUMNS = 3
TURNING = 7_000  # triangles of a skull to turn
FAR = 8.0  # spreads beyond a limit, where dots are clipped
WIDTH = 0.8  # of the strips of one quality score; scores are 1 apart
Sets = Mapping[str, Skulls]
Chosen = dict[str, list[tuple[int, list[str]]]]  # items of each set, with measures


def distributions(results: Results, limits: Limits) -> Figure:
    """One panel per measure: a dot per skull, by predicted score and set.

    Bars are the limits of a score; dots beyond them have a rim and are clipped at FAR
    spreads from them.
    """
    lines = -(-len(MEASURES) // COLUMNS)
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(9.5, 1.9 * lines), layout="constrained"
    )
    for column, axis in enumerate(axes.flat[: len(MEASURES)]):
        _panel(axis, results, limits, column)
    for axis in axes.flat[len(MEASURES) :]:
        axis.axis("off")
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="lower right", frameon=False, markerscale=2.5)
    return figure


def _panel(axis: Axes, results: Results, limits: Limits, column: int) -> None:
    """One measure: a strip of dots per set and a bar per limit at each score."""
    width = WIDTH / len(results)
    for i, ((name, result), colour) in enumerate(zip(results.items(), COLOURS)):
        shift = np.random.default_rng(0).uniform(0.1, 0.9, len(result.predicted))
        x = result.predicted + (i - len(results) / 2 + shift) * width
        rows = np.searchsorted(limits.scores, result.predicted)
        far = FAR * limits.spread[rows, column]
        ends = limits.low[rows, column] - far, limits.high[rows, column] + far
        y, beyond = result.values[:, column].clip(*ends), result.excess[:, column] > 0
        axis.scatter(x, y, s=5, color=colour, alpha=0.6, linewidths=0, label=name)
        axis.scatter(x[beyond], y[beyond], s=14, color=colour, ec=RIM, linewidths=0.7)
    for end in (limits.low[:, column], limits.high[:, column]):
        finite, half = np.isfinite(end), WIDTH / 2
        middle = limits.scores[finite]
        axis.hlines(end[finite], middle - half, middle + half, "black", lw=1.2)
    axis.set_xticks(limits.scores, [f"QS {q}" for q in limits.scores])
    axis.set_xlim(limits.scores[0] - 0.6, limits.scores[-1] + 0.6)
    axis.tick_params(labelsize=8)
    title = f"{MEASURES[column].name} {MEASURES[column].unit}".rstrip()
    axis.set_title(title, fontsize=10)


def worst(
    sets: Sets, results: Results, count: int, scores: Sequence[int] = QUALITY_SCORES
) -> Figure:
    """The skulls of each set that are farthest beyond a limit, with the reasons.

    Only those of the requested `scores` are shown.
    """
    return _gallery(sets, results, _worst(sets, results, count, scores))


def worst_turning(sets: Sets, results: Results, count: int) -> Viewer:
    """The same skulls of all scores to turn, one at a time, with the reasons."""
    skulls: dict[str, np.ndarray] = {}
    notes: dict[str, str] = {}
    for name, items in _worst(sets, results, count, QUALITY_SCORES).items():
        for number, (item, measures) in enumerate(items, 1):
            label = f"{name} {number}, QS {results[name].requested[item]}"
            skulls[label] = sets[name].volume(item)
            notes[label] = ", ".join(results[name].describe(item, m) for m in measures)
    grid = next(iter(sets.values())).grid
    return inline(skulls, grid, notes, stage=True, triangles=TURNING)


def _worst(sets: Sets, results: Results, count: int, scores: Sequence[int]) -> Chosen:
    chosen: Chosen = {}
    for name in sets:
        order = results[name].worst_first()
        wanted = np.isin(results[name].requested[order], scores)
        items = order[wanted][:count].tolist()
        chosen[name] = [(item, results[name].reasons(item)[:3]) for item in items]
    return chosen


def extremes(sets: Sets, results: Results, measures: Sequence[str]) -> Figure:
    """The most extreme skull of each set by each of `measures`, given by name."""
    chosen: Chosen = {}
    for name in sets:
        items = [(results[name].farthest(measure), [measure]) for measure in measures]
        chosen[name] = [(item, reason) for item, reason in items if item is not None]
    return _gallery(sets, results, chosen)


def _gallery(sets: Sets, results: Results, chosen: Chosen) -> Figure:
    """Rendered skulls, one row per set, captioned by their measures (Fig. 4b)."""
    columns = max(1, *map(len, chosen.values()))
    figure, axes = panels(list(sets), [""] * columns, 1.9, 2.0)
    for line, (name, skulls) in zip(axes, sets.items()):
        result, items = results[name], chosen[name]
        for axis, (item, measures) in zip(line, items):
            view = "above" if measures[0] == "vault holes" else "oblique"
            draw(axis, skulls.volume(item), skulls.grid, view)
            values = ", ".join(result.describe(item, measure) for measure in measures)
            caption = f"QS {result.requested[item]}: {values}"
            axis.set_xlabel(fill(caption, 25), fontsize=8)
        for axis in line[len(items) :]:
            axis.spines[:].set_visible(False)
    return figure
