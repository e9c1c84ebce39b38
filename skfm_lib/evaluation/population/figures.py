"""Figures of how real the phantoms are."""

from collections.abc import Mapping

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy import stats

from skfm_lib.evaluation.population.cited import SAMPLED
from skfm_lib.evaluation.population.measures import UNITS
from skfm_lib.evaluation.population.region import Measures, Population
from skfm_lib.view.slices import PLANES, WINDOW, middle_slice, panels

PHANTOMS, PUBLISHED = "#9ab3ce", "#c4622d"
HEADS = ("#c4622d", "#4b8b3b", "#7a4b94", "#8a6d1d")
COLUMNS = 4
BINS = 30
BESIDE = 20.0  # mm


def sampled_distributions(sampled: Mapping[str, np.ndarray]) -> Figure:
    """A histogram of each sampled measure, and its citation as a normal curve."""
    figure, axes = _grid(len(SAMPLED))
    for axis, (name, cited) in zip(axes, SAMPLED.items()):
        values = sampled[name]
        axis.hist(values, BINS, density=True, color=PHANTOMS)
        x = cited.mean + cited.deviation * np.linspace(-3.5, 3.5, 100)
        axis.plot(x, stats.norm.pdf(x, cited.mean, cited.deviation), color=PUBLISHED)
        axis.set_title(name.replace("_", " "), fontsize=9)
    _legend(figure, {"phantoms": PHANTOMS, "published": PUBLISHED})
    return figure


def heads_in_population(
    population: Population, heads: Mapping[str, Measures]
) -> Figure:
    """A histogram of each measure, its central 95 % shaded, a line for every head."""
    figure, axes = _grid(len(population.values))
    for axis, (name, values) in zip(axes, population.values.items()):
        axis.axvspan(*population.central(name), color="0.92")
        axis.hist(values, BINS // 2, color=PHANTOMS)
        for colour, head in zip(HEADS, heads.values()):
            axis.axvline(head[name], color=colour, linewidth=1.8)
        axis.set_title(f"{name}, {UNITS[name]}", fontsize=9)
    _legend(figure, {"phantoms": PHANTOMS, **dict(zip(heads, HEADS))})
    return figure


def scan_planes(scans: Mapping[str, sitk.Image]) -> Figure:
    """Slices of scans, HU, in RAS axes, in one window; one scan a row.

    Middle ones, but the sagittal slice BESIDE the middle, through orbit and teeth.
    """
    figure, axes = panels(list(scans), PLANES, 2.4, 2.4)
    for line, scan in zip(axes, scans.values()):
        upright = sitk.DICOMOrient(scan, "RAS")
        volume = sitk.GetArrayFromImage(upright).transpose(1, 2, 0)
        x, y, z = upright.GetSpacing()
        aspects = {"sagittal": z / y, "coronal": z / x, "axial": y / x}
        middle = np.array(volume.shape) // 2
        for axis, plane in zip(line, PLANES):
            beside = round(BESIDE / x) if plane == "sagittal" else 0
            grey = middle_slice(volume, plane, middle + (0, beside, 0))
            axis.imshow(grey, origin="lower", aspect=aspects[plane], **WINDOW)
            axis.spines[:].set_visible(False)
            axis.set_anchor("N")
    return figure


def _grid(count: int) -> tuple[Figure, list[Axes]]:
    """Small panels without a vertical scale, and at least one more without axes."""
    lines = count // COLUMNS + 1
    figure, axes = plt.subplots(
        lines, COLUMNS, figsize=(9.0, 1.5 * lines), layout="constrained"
    )
    for axis in axes.flat:
        axis.set_yticks([])
        axis.tick_params(labelsize=8)
    for axis in axes.flat[count:]:
        axis.axis("off")
    return figure, list(axes.flat[:count])


def _legend(figure: Figure, colours: Mapping[str, str]) -> None:
    handles = [Line2D([], [], color=c, linewidth=4) for c in colours.values()]
    figure.legend(handles, list(colours), loc="lower right", frameon=False, fontsize=9)
