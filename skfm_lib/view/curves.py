"""Training losses over steps, and quality over cost."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from skfm_lib.metrics import Interval

COLOURS = ("#1f5a94", "#c4622d", "#4b8b3b", "#7a4b94", "#8a6d1d")
MARKERS = "osD^v"
# title → (reference, line → its points (cost, value))
Panels = dict[str, tuple[Interval, dict[str, list[tuple[float, Interval]]]]]


def loss_curves(
    histories: Mapping[str, Mapping[str, list[float]]],
    name: str,
    steps: int | None = None,
) -> Figure:
    """The quantity `name` of each history: all values pale, their running mean bold.

    `steps` is the number of training steps, if a history holds means of several steps.
    """
    figure, axis = plt.subplots(figsize=(6.4, 3.0), layout="constrained")
    draw_losses(axis, histories, name, steps)
    return figure


def draw_losses(
    axis: Axes,
    histories: Mapping[str, Mapping[str, list[float]]],
    name: str,
    steps: int | None = None,
    colours: Sequence[str] = COLOURS,
) -> None:
    """Draw `loss_curves` on an axis."""
    for colour, (label, history) in zip(colours, histories.items()):
        values = np.asarray(history[name])
        window = max(1, len(values) // 50)
        mean = np.convolve(values, np.ones(window) / window, "valid")
        step = (1 + np.arange(len(values))) * (steps or len(values)) / len(values)
        axis.plot(step, values, color=colour, alpha=0.2, linewidth=0.7)
        axis.plot(step[window - 1 :], mean, color=colour, linewidth=1.8, label=label)
    axis.set(xlabel="step", ylabel=name, yscale="log")
    plain_numbers(axis)
    axis.grid(alpha=0.25, which="both")
    axis.legend(frameon=False)


def sweep_curves(panels: Panels, cost: str, quality: str) -> Figure:
    """Quality over cost: one panel a reference, its noise shaded, one line a method.

    Both axes are logarithmic; where a distance is below 0, quality is linear within
    the noise around 0.  Intervals are shaded along the lines.
    """
    size, shade = (
        (0.4 + 4.2 * len(panels), 3.8),
        {"facecolor": "0.88", "edgecolor": "0.6"},
    )
    figure, axes = plt.subplots(
        1, len(panels), figsize=size, squeeze=False, layout="constrained"
    )
    for axis, (title, (band, lines)) in zip(axes[0], panels.items()):
        axis.axhspan(band.low, band.high, label="noise of the reference", **shade)
        for label, points, colour, marker in zip(
            lines, lines.values(), COLOURS, MARKERS
        ):
            costs, values = zip(*points)
            value, low, high = np.array(values).T
            line = {"color": colour, "label": label, "markersize": 4}
            axis.plot(costs, value, f"{marker}-", **line)
            axis.fill_between(costs, low, high, color=colour, alpha=0.15, linewidth=0)
        axis.set(xlabel=cost, xscale="log", title=title)
        _scale(axis, band, [v.value for line in lines.values() for _, v in line])
        axis.grid(alpha=0.25)
        axis.legend(fontsize=9)
    axes[0, 0].set_ylabel(quality)
    return figure


def _scale(axis: Axes, band: Interval, values: list[float]) -> None:
    """A logarithmic scale for positive values, otherwise one through 0."""
    axis.xaxis.set_major_formatter("{x:g}")
    if min(values) > 0:
        axis.set_yscale("log")
        plain_numbers(axis)
        axis.set_ylim(min(values) / 1.5, max(values) * 1.5)
        return
    noise = max((band.high - band.low) / 2, 1e-9)
    axis.set_yscale("asinh", linear_width=noise)
    axis.set_ylim(min(*values, band.low) - noise, max(*values, band.high) + noise)
    axis.set_yticks([y for y in axis.get_yticks() if y == 0 or abs(y) >= noise])
    axis.yaxis.set_major_formatter("{x:g}")


def plain_numbers(axis: Axes) -> None:
    """Numbers without powers of ten on a logarithmic axis."""
    axis.yaxis.set_major_formatter("{x:g}")
    axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
