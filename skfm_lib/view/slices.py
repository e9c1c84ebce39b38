"""Volumes as slices, in the layout of the paper's Figure 3."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import SimpleITK as sitk
from matplotlib.figure import Figure

from skfm_lib.data.bone_fractions import as_values

PLANES = ("sagittal", "coronal", "axial")
WINDOW = {"cmap": "bone", "vmin": -300.0, "vmax": 1200.0}  # HU, bone and skin
OUTLINE = "#e4572e"


def middle_slice(
    volume: np.ndarray, plane: str = "sagittal", middle: np.ndarray | None = None
) -> np.ndarray:
    """The slice through `middle` (3,) of (D, H, W), upright for ``origin="lower"``.

    `middle` is by default that of the volume.  The nose is to the left in a sagittal
    slice, the right ear in the others, as radiologists look at a patient.
    """
    d, h, w = np.array(volume.shape) // 2 if middle is None else middle
    if plane == "sagittal":
        return volume[::-1, h, :].T
    if plane == "coronal":
        return volume[d, ::-1, :].T
    return volume[:, ::-1, w]


def slice_rows(
    rows: Mapping[str, Sequence[np.ndarray]],
    titles: Sequence[str],
    limits: tuple[float, float] = (-1.0, 1.0),
) -> Figure:
    """Middle sagittal slices: one row a source, one column a title (Fig. 3).

    Volumes have bits or bytes as a `SkullSet`, or a network's v; v is shown.
    """
    images = {
        name: [as_values(middle_slice(np.asarray(volume))) for volume in volumes]
        for name, volumes in rows.items()
    }
    return image_rows(images, titles, limits)


def image_rows(
    rows: Mapping[str, Sequence[np.ndarray]],
    titles: Sequence[str],
    limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Grey images: one row a source, one column a title."""
    figure, axes = panels(list(rows), titles, 1.5, 1.75)
    for line, images in zip(axes, rows.values()):
        for axis, image in zip(line, images):
            low, high = limits
            axis.imshow(image, cmap="bone", origin="lower", vmin=low, vmax=high)
    return figure


def overlays(rows: Mapping[str, tuple[sitk.Image, Path]]) -> Figure:
    """Slices of scans with the outline of a skull on the same grid, one scan a row.

    They pass through the middle of the skull.  Each scan is in RAS orientation, as from
    `export.read_like`; the skull a volume from `export` with ``like`` this scan.
    """
    figure, axes = panels(list(rows), PLANES, 2.4, 2.4)
    for line, (scan, skull) in zip(axes, rows.values()):
        mask = sitk.DICOMOrient(sitk.ReadImage(str(skull)), "RAS")
        values, bone = (
            sitk.GetArrayFromImage(image).transpose(1, 2, 0) for image in (scan, mask)
        )
        x, y, z = scan.GetSpacing()
        aspects = {"sagittal": z / y, "coronal": z / x, "axial": y / x}
        is_mask = values.max() - values.min() <= 1  # grey, so that the outline shows
        window = {"cmap": "bone", "vmin": 0.0, "vmax": 1.5} if is_mask else WINDOW
        inside = np.argwhere(bone)
        middle = (inside.min(axis=0) + inside.max(axis=0)) // 2 if len(inside) else None
        for axis, plane in zip(line, PLANES):
            grey = middle_slice(values, plane, middle)
            axis.imshow(grey, origin="lower", aspect=aspects[plane], **window)
            outline = middle_slice(bone, plane, middle).astype(float)
            if outline.any():
                axis.contour(outline, [0.5], colors=OUTLINE, linewidths=0.7)
            axis.spines[:].set_visible(False)
            axis.set_anchor("N")  # titles at one height, whatever the shape of a slice
    return figure


def panels(
    names: Sequence[str], titles: Sequence[str], width: float, height: float
) -> tuple[Figure, np.ndarray]:
    """Empty panels without ticks, rows named at the left, columns titled above.

    Each panel is `width` by `height` inches.
    """
    shape = len(names), len(titles)
    size = width * len(titles), height * len(names)
    figure, axes = plt.subplots(
        *shape, figsize=size, squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], titles):
        axis.set_title(title, fontsize=10)
    for axis, name in zip(axes[:, 0], names):
        axis.set_ylabel(name, fontsize=10)
    return figure, axes
