"""Skulls as slices, in the rows of the paper's Figure 3."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure

PLANES = ("sagittal", "coronal", "axial")


def middle_slice(volume: np.ndarray, plane: str = "sagittal") -> np.ndarray:
    """The central slice of (D, H, W), upright for ``imshow(origin="lower")``.

    sagittal  nose to the left;  coronal and axial  right ear to the left, as
    radiologists look at a patient
    """
    depth, height, width = volume.shape
    if plane == "sagittal":
        return volume[::-1, height // 2, :].T
    if plane == "coronal":
        return volume[depth // 2, ::-1, :].T
    return volume[:, ::-1, width // 2]


def slice_rows(
    rows: dict[str, Sequence[np.ndarray]],
    titles: Sequence[str],
    plane: str = "sagittal",
    limits: tuple[float, float] = (0.0, 1.0),
) -> Figure:
    """Middle slices of volumes: one row a source, one column a title (Fig. 3)."""
    images = {
        name: [middle_slice(np.asarray(v), plane) for v in volumes]
        for name, volumes in rows.items()
    }
    return image_rows(images, titles, limits)


def image_rows(
    rows: dict[str, Sequence[np.ndarray]],
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


def panels(
    names: Sequence[str], titles: Sequence[str], width: float, height: float
) -> tuple[Figure, np.ndarray]:
    """Empty panels without ticks, rows named at the left, columns titled above."""
    figure, axes = plt.subplots(
        len(names),
        len(titles),
        figsize=(width * len(titles), height * len(names)),
        squeeze=False,
        layout="constrained",
    )
    for axis in axes.flat:
        axis.set(xticks=[], yticks=[])
    for axis, title in zip(axes[0], titles):
        axis.set_title(title, fontsize=10)
    for axis, name in zip(axes[:, 0], names):
        axis.set_ylabel(name, fontsize=10)
    return figure, axes
