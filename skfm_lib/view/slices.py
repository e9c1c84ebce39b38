"""Skulls as slices, in the rows of the paper's Figure 3."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure


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
    """Middle slices: one row a source, one column a title (Fig. 3)."""
    figure, axes = plt.subplots(
        len(rows),
        len(titles),
        figsize=(1.5 * len(titles), 1.75 * len(rows)),
        squeeze=False,
        layout="constrained",
    )
    low, high = limits
    for line, (name, volumes) in zip(axes, rows.items()):
        for axis, volume, title in zip(line, volumes, titles):
            image = middle_slice(np.asarray(volume), plane)
            axis.imshow(image, cmap="bone", origin="lower", vmin=low, vmax=high)
            axis.set(xticks=[], yticks=[])
            axis.set_title(title if line is axes[0] else "", fontsize=10)
        line[0].set_ylabel(name, fontsize=10)
    return figure
