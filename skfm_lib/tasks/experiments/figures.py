"""Figures of the two tasks: skulls aligned and filled, claims, a learning curve."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pyvista as pv
from matplotlib.figure import Figure

from skfm_lib.data.voxels import Grid
from skfm_lib.tasks.defects import Cuboid
from skfm_lib.tasks.implant_evaluation import cut_mesh
from skfm_lib.view.meshes import IVORY, VIEWS, middle_of, scene, smooth_surface
from skfm_lib.view.slices import panels

FILLED, TRUTH = "#c4622d", "#7fa6cc"  # what a network adds; the truth or reference
CLEAR, OPEN = "#1f5a94", "#b9b4a7"  # intervals without and with 0
STEEP = 0.9  # sine of an elevation from which up is no longer up

View = tuple[Sequence[float], Sequence[float]]
Parts = Sequence[tuple[pv.PolyData, str]]  # surfaces or points, and their colours


def pose_rows(
    skulls: Mapping[str, np.ndarray], poses: Mapping[str, np.ndarray], grid: Grid
) -> Figure:
    """Skulls moved by matrices (skulls, 4, 4), a row each; their true poses in blue."""
    meshes = [smooth_surface(volume, grid) for volume in skulls.values()]
    rows: dict[str, list[Parts]] = {
        name: [
            [(mesh, TRUTH), (mesh.transform(matrix, inplace=False), IVORY)]
            for mesh, matrix in zip(meshes, matrices)
        ]
        for name, matrices in poses.items()
    }
    return _figure(rows, list(skulls), [VIEWS["oblique"]] * len(skulls), grid, 2.0)


def filling_rows(
    skulls: Mapping[str, np.ndarray],
    cuboids: Sequence[Cuboid],
    fillings: Sequence[np.ndarray],
    grid: Grid,
) -> Figure:
    """Skulls with their defect, its filling and the truth, from the defect's side.

    Occupancies (D, H, W), one a column; their defects; points (n, 3) that fill these.
    """
    rows: dict[str, list[Parts]] = {"defect": [], "completed": [], "true": []}
    views: list[View] = []
    for volume, cuboid, filling in zip(skulls.values(), cuboids, fillings):
        left, lost = cut_mesh(smooth_surface(volume, grid), cuboid)
        points = pv.PolyData(filling.astype(np.float32))
        rows["defect"].append([(left, IVORY)])
        rows["completed"].append([(left, IVORY), (points, FILLED)])
        rows["true"].append([(left, IVORY), (lost, TRUTH)])
        offset = cuboid.centre - middle_of(grid)
        x, y, z = offset / np.linalg.norm(offset)
        views.append(((x, y, z), (0, 0, 1) if abs(z) < STEEP else (0, 1, 0)))
    return _figure(rows, list(skulls), views, grid, 2.0)


def surface_rows(
    rows: Mapping[str, Parts], grid: Grid, views: Mapping[str, View]
) -> Figure:
    """Surfaces in their colours, one row a scene, one column a view."""
    scenes = {name: [parts] * len(views) for name, parts in rows.items()}
    return _figure(scenes, list(views), list(views.values()), grid, 2.4)


def claim_plot(claims: Mapping[str, Mapping[str, Any]]) -> Figure:
    """Differences of `tables.claims`, mm; right of 0 is what the paper claims."""
    found = {text: row["better by, mm"] for text, row in claims.items()}
    found = {text: gap for text, gap in found.items() if gap is not None}
    figure, axis = plt.subplots(
        figsize=(6.6, 0.8 + 0.34 * max(1, len(found))), layout="constrained"
    )
    axis.axvline(0, color="black", linewidth=0.8)
    for row, gap in enumerate(found.values()):
        colour = CLEAR if gap.low > 0 or gap.high < 0 else OPEN
        axis.plot([gap.low, gap.high], [row, row], color=colour, linewidth=2)
        axis.plot(gap.value, row, "o", color=colour, markersize=5)
    if not found:
        axis.text(0.5, 0.5, "no two sets to compare", transform=axis.transAxes)
    axis.set_yticks(range(len(found)), list(found))
    axis.invert_yaxis()
    axis.set_xlabel("better by, mm")
    axis.grid(alpha=0.25, axis="x")
    return figure


def curve_plot(lines: Mapping[str, Mapping[int, Sequence[float]]]) -> Figure:
    """Errors, mm, against numbers of skulls: a dot a seed, a line through the means.

    `lines`: skulls on which the errors are → number of training skulls → errors.
    """
    figure, axis = plt.subplots(figsize=(5.6, 3.4), layout="constrained")
    for (label, points), colour in zip(lines.items(), (CLEAR, FILLED)):
        means = [float(np.mean(errors)) for errors in points.values()]
        axis.plot(list(points), means, color=colour, label=label)
        for n, errors in points.items():
            axis.plot([n] * len(errors), errors, "o", color=colour, markersize=4)
    sizes = sorted({n for points in lines.values() for n in points})
    axis.set(xscale="log", xlabel="training skulls", ylabel="error, mm")
    axis.set_xticks(sizes, [str(n) for n in sizes])
    axis.set_xticks([], minor=True)
    axis.set_ylim(0, 1.05 * axis.get_ylim()[1])
    axis.grid(alpha=0.25)
    axis.legend(frameon=False)
    return figure


def _figure(
    rows: Mapping[str, Sequence[Parts]],
    titles: Sequence[str],
    views: Sequence[View],
    grid: Grid,
    inches: float,
) -> Figure:
    """Scenes in rows, each column seen from its view; panels show all meshes."""
    figure, axes = panels(list(rows), titles, inches, inches)
    meshes = [mesh for row in rows.values() for parts in row for mesh, _ in parts]
    boxes = np.array([mesh.bounds for mesh in meshes]).reshape(-1, 3, 2)
    reach = float(np.abs(boxes - middle_of(grid)[:, None]).max())
    for line, row in zip(axes, rows.values()):
        for axis, parts, view in zip(line, row, views):
            axis.spines[:].set_visible(False)
            axis.imshow(scene(parts, grid, view, reach=reach))
    return figure
