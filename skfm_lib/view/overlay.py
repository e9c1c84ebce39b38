"""A skull upon the scan that it belongs to, in the scan's own frame."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

from skfm_lib.view.slices import PLANES, panels

WINDOW = (-300.0, 1200.0)  # HU, bone and skin
LINE = "#e4572e"


def overlay(scan: sitk.Image, skull: Path) -> Figure:
    """Middle slices of a CT with the outline of a skull on the same grid.

    scan   axes turned to RAS, as `export.read_like` gives it
    skull  a volume from `export` with ``like`` this scan

    Right ear to the left, as radiologists look at a patient; nose to the left.
    """
    mask = sitk.DICOMOrient(sitk.ReadImage(str(skull)), "RAS")
    values, bone = (sitk.GetArrayFromImage(image) for image in (scan, mask))
    spacing = dict(zip("zyx", scan.GetSpacing()[::-1]))
    figure, axes = panels([""], PLANES, 2.4, 2.4)
    for axis, plane in zip(axes[0], PLANES):
        across, up = {"sagittal": "yz", "coronal": "xz", "axial": "xy"}[plane]
        low, high = WINDOW
        shape = spacing[up] / spacing[across]
        grey = {"cmap": "bone", "vmin": low, "vmax": high}
        axis.imshow(_middle(values, plane), origin="lower", aspect=shape, **grey)
        outline = _middle(bone, plane).astype(float)
        axis.contour(outline, [0.5], colors=LINE, linewidths=0.7)
        axis.spines[:].set_visible(False)
    return figure


def _middle(values: np.ndarray, plane: str) -> np.ndarray:
    """The central slice of (z, y, x), RAS."""
    depth, height, width = values.shape
    if plane == "sagittal":
        return values[:, ::-1, width // 2]
    if plane == "coronal":
        return values[:, height // 2, ::-1]
    return values[depth // 2, :, ::-1]
