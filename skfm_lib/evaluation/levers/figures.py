"""Figures of the levers: differences, quality by training steps, skulls."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.held_out import FAILED, FID, PR
from skfm_lib.evaluation.levers.over_seeds import STEPS
from skfm_lib.evaluation.table1 import stratified_sample
from skfm_lib.metrics import Interval
from skfm_lib.view.curves import COLOURS, plain_numbers
from skfm_lib.view.meshes import draw
from skfm_lib.view.slices import panels

STOPPING = (FID, PR, FAILED)
A_LINE = 10  # skulls in a line of `gallery`
INCHES = 0.95  # edge of a skull


def difference_plot(rows: Mapping[str, Mapping[str, Interval]]) -> Figure:
    """A panel for each column, a line for each model: difference and interval."""
    columns = list(next(iter(rows.values())))
    size = 2.4 * len(columns) + 1.4, 0.9 + 0.28 * len(rows)
    figure, axes = plt.subplots(
        1, len(columns), figsize=size, sharey=True, squeeze=False, layout="constrained"
    )
    heights = np.arange(len(rows))[::-1]
    for panel, column in zip(axes[0], columns):
        for height, row in zip(heights, rows.values()):
            value, low, high = row[column]
            panel.plot([low, high], [height, height], color=COLOURS[0])
            panel.plot(value, height, "o", color=COLOURS[0], markersize=4)
        panel.axvline(0, color="0.4", linestyle="--")
        panel.set(title=column, yticks=heights, yticklabels=list(rows))
        panel.grid(alpha=0.25, axis="x")
    return figure


def stopping_curves(points: pd.DataFrame, reference: Mapping[str, float]) -> Figure:
    """A panel for each measure over training steps: a dot a seed, a line of medians.

    The dashed line is the reference.
    """
    figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
    for panel, name in zip(axes, STOPPING):
        panel.scatter(points[STEPS], points[name], color=COLOURS[0], s=14, alpha=0.5)
        medians = points.groupby(STEPS)[name].median()
        panel.plot(medians.index, medians, color=COLOURS[0], label="ours")
        panel.axhline(reference[name], color="0.4", linestyle="--", label="real skulls")
        panel.set(xlabel=STEPS, title=name, xscale="log")
        panel.set_xticks(sorted(points[STEPS].unique()), minor=False)
        panel.xaxis.set_major_formatter("{x:g}")
        panel.xaxis.set_minor_locator(NullLocator())
        if name == FID:
            panel.set_yscale("log")
            plain_numbers(panel)
        else:
            panel.set_ylim(0, 1.02)
        panel.grid(alpha=0.25)
    axes[0].legend(fontsize=9)
    return figure


def random_skulls(skulls: SkullSet, count: int, seed: int) -> list[np.ndarray]:
    """`count` skulls of a set at random, in its proportions of quality scores."""
    items = stratified_sample(skulls, min(count, len(skulls)), seed)
    return [skulls.volume(item) for item in items]


def gallery(sets: Mapping[str, Sequence[np.ndarray]], grid: Grid) -> Figure:
    """Rendered skulls of several sets, one below the other, `A_LINE` in a line."""
    lines: list[tuple[str, Sequence[np.ndarray]]] = []
    for name, volumes in sets.items():
        for start in range(0, len(volumes), A_LINE):
            lines.append(("" if start else name, volumes[start : start + A_LINE]))
    width = max(len(part) for _, part in lines)
    figure, axes = panels([name for name, _ in lines], [""] * width, INCHES, INCHES)
    for axis in axes.flat:
        axis.spines[:].set_visible(False)
    for line, (_, volumes) in zip(axes, lines):
        for axis, volume in zip(line, volumes):
            draw(axis, volume, grid, "oblique")
    return figure
