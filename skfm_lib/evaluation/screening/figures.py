"""What screening found: measures beside their limits, and the worst skulls."""

from collections.abc import Mapping, Sequence
from textwrap import fill

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.measures import Skulls
from skfm_lib.evaluation.screening.reference_ranges import Verdicts
from skfm_lib.evaluation.screening.tolerance_limits import Limits, Measure
from skfm_lib.view.meshes import draw
from skfm_lib.view.slices import panels

COLOURS = ("#8a857a", "#c9a227", "#c4622d", "#1f5a94", "#4b8b3b")
RIM = "#111111"
COLUMNS = 3
FAR = 8.0  # spreads beyond a limit; what is farther stands there
WIDTH = 0.8  # of the strips of one quality score, which stand 1 apart
Picture = tuple[np.ndarray, str, str]  # volume, caption, view


def distributions(
    sets: Mapping[str, Verdicts], measures: Sequence[Measure], limits: Limits
) -> Figure:
    """One panel a measure: every skull a dot, by the score it shows and by its set.

    Bars are the limits of a score; dots beyond them have a rim, and stand no farther
    than FAR spreads from them.
    """
    lines = -(-len(measures) // COLUMNS)
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(9.5, 1.9 * lines), layout="constrained", squeeze=False
    )
    for column, (axis, measure) in enumerate(zip(axes.flat, measures)):
        for place, (verdicts, colour) in enumerate(zip(sets.values(), COLOURS)):
            strip = (place - len(sets) / 2) * WIDTH / len(sets), WIDTH / len(sets)
            _dots(axis, verdicts, limits, column, strip, colour)
        _bars(axis, limits, column)
        axis.set_title(f"{measure.name} {measure.unit}".rstrip(), fontsize=9)
    for axis in axes.flat[len(measures) :]:
        axis.axis("off")
    named = [
        plt.Line2D([], [], color=colour, marker="o", linestyle="", label=name)
        for name, colour in zip(sets, COLOURS)
    ]
    figure.legend(handles=named, loc="lower right", frameon=False, fontsize=9)
    return figure


def _dots(
    axis: Axes,
    verdicts: Verdicts,
    limits: Limits,
    column: int,
    strip: tuple[float, float],
    colour: str,
) -> None:
    """The dots of one set, in a strip (start, width) beside each score's place."""
    start, width = strip
    jitter = np.random.default_rng(0).uniform(0.1, 0.9, len(verdicts.shown)) * width
    x = verdicts.shown + start + jitter
    rows = np.searchsorted(limits.scores, verdicts.shown)
    reach = FAR * limits.spread[rows, column]
    ends = limits.low[rows, column] - reach, limits.high[rows, column] + reach
    y, beyond = verdicts.values[:, column].clip(*ends), verdicts.excess[:, column] > 0
    axis.scatter(x, y, s=5, color=colour, alpha=0.6, linewidths=0)
    axis.scatter(x[beyond], y[beyond], s=14, color=colour, ec=RIM, linewidths=0.7)


def _bars(axis: Axes, limits: Limits, column: int) -> None:
    """The limits of each score, and the scores' names below."""
    for ends in (limits.low[:, column], limits.high[:, column]):
        kept, half = np.isfinite(ends), WIDTH / 2
        middle = limits.scores[kept]
        axis.hlines(ends[kept], middle - half, middle + half, "black", lw=1.2)
    axis.set_xticks(limits.scores, [f"QS {q}" for q in limits.scores])
    axis.set_xlim(limits.scores[0] - 0.6, limits.scores[-1] + 0.6)
    axis.tick_params(labelsize=7)


def worst(
    sets: Mapping[str, Skulls], verdicts: Mapping[str, Verdicts], count: int
) -> Figure:
    """The skulls of each set that are farthest beyond a limit, with the reasons."""
    rows = {}
    for name, skulls in sets.items():
        found, rows[name] = verdicts[name], []
        for item in found.worst_first()[:count].tolist():
            rows[name].append(_shown(skulls, found, item, found.reasons(item)[:3]))
    return gallery(rows, next(iter(sets.values())).grid)


def extremes(
    sets: Mapping[str, Skulls],
    verdicts: Mapping[str, Verdicts],
    measures: Sequence[str],
) -> Figure:
    """For each set and each of `measures`, by name: the skull that goes farthest."""
    rows = {}
    for name, skulls in sets.items():
        found, rows[name] = verdicts[name], []
        for measure in measures:
            if (item := found.farthest(measure)) is not None:
                rows[name].append(_shown(skulls, found, item, [measure]))
    return gallery(rows, next(iter(sets.values())).grid)


def _shown(
    skulls: Skulls, found: Verdicts, item: int, measures: Sequence[str]
) -> Picture:
    """A skull, seen from where the first of the measures that are told can be seen."""
    told = ", ".join(found.told(item, measure) for measure in measures)
    view = "above" if measures[0] == "vault holes" else "oblique"
    return skulls.occupancy(item), f"QS {found.asked[item]}: {told}", view


def gallery(rows: Mapping[str, Sequence[Picture]], grid: Grid) -> Figure:
    """Rendered skulls, one row a set, each with its caption below (Fig. 4b)."""
    columns = max(1, *map(len, rows.values()))
    figure, axes = panels(list(rows), [""] * columns, 1.9, 2.0)
    for line, pictures in zip(axes, rows.values()):
        for axis, (volume, caption, view) in zip(line, pictures):
            draw(axis, volume, grid, view)
            axis.set_xlabel(fill(caption, 26), fontsize=7)
        for axis in line[len(pictures) :]:
            axis.spines[:].set_visible(False)
    return figure
