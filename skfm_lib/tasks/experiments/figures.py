"""The two tasks as pictures: skulls brought back, defects filled, claims weighed."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from skfm_lib.data.voxels import Grid
from skfm_lib.tasks.defects import Cuboid
from skfm_lib.tasks.experiments.statistics import Answer
from skfm_lib.tasks.implant_evaluation import cut_mesh
from skfm_lib.view.meshes import IVORY, VIEWS, middle_of, scene, skull_surface
from skfm_lib.view.slices import panels

FILLED, PLACE = "#c4622d", "#7fa6cc"  # what a network puts there, what belongs there
CLEAR, OPEN = "#1f5a94", "#b9b4a7"  # intervals without and with 0
STEEP = 0.9  # sine of an elevation from which up is no longer up

View = tuple[Sequence[float], Sequence[float]]


def pose_rows(
    skulls: Mapping[str, np.ndarray],
    poses: Mapping[str, Sequence[tuple[Tensor, Tensor]]],
    grid: Grid,
) -> Figure:
    """One pose a row, one skull a column: occupancies (D, H, W), motions (R, t).

    The skull's true place is drawn, too, in blue.
    """
    figure, axes = panels(list(poses), list(skulls), 1.9, 2.0)
    meshes = [skull_surface(volume, grid) for volume in skulls.values()]
    moved = [
        [m.transform(_matrix(*by), inplace=False) for m, by in zip(meshes, motions)]
        for motions in poses.values()
    ]
    reach = _reach([mesh for line in moved for mesh in line], grid)
    for line, row in zip(axes, moved):
        for axis, mesh, there in zip(line, meshes, row):
            parts = [(mesh, PLACE), (there, IVORY)]
            _show(axis, parts, grid, VIEWS["oblique"], reach)
    return figure


def filling_rows(
    skulls: Mapping[str, np.ndarray],
    cuboids: Sequence[Cuboid],
    fillings: Sequence[np.ndarray],
    grid: Grid,
) -> Figure:
    """One skull a column, with its defect, with the filling's points, and as it was.

    Seen from the side on which the defect is.

    skulls    occupancies (D, H, W); cuboids are in their order, and
    fillings  points (n, 3), mm, that are to fill the cuboids
    """
    figure, axes = panels(["defect", "completed", "true"], list(skulls), 1.9, 2.0)
    for column, volume in enumerate(skulls.values()):
        cuboid = cuboids[column]
        left, lost = cut_mesh(skull_surface(volume, grid), cuboid)
        points = pv.PolyData(fillings[column].astype(np.float32))
        rows = ([], [(points, FILLED)], [(lost, PLACE)])
        for axis, more in zip(axes[:, column], rows):
            _show(axis, [(left, IVORY), *more], grid, _facing(cuboid, grid))
    return figure


def surface_rows(
    rows: Mapping[str, Sequence[tuple[pv.PolyData, str]]],
    grid: Grid,
    views: Mapping[str, View],
) -> Figure:
    """Surfaces in their colours, one row a scene, one column a view.

    grid  whose middle is looked at; pictures reach as far as it and the surfaces
    """
    figure, axes = panels(list(rows), list(views), 2.4, 2.4)
    reach = _reach([mesh for parts in rows.values() for mesh, _ in parts], grid)
    for line, parts in zip(axes, rows.values()):
        for axis, view in zip(line, views.values()):
            _show(axis, parts, grid, view, reach)
    return figure


def claim_plot(answers: Sequence[Answer]) -> Figure:
    """How much better, in mm, with 95 % intervals; right of 0 is what the paper says.

    Nothing to draw (too few sets tried) is said in the picture.
    """
    figure, axis = plt.subplots(
        figsize=(6.6, 0.8 + 0.34 * max(1, len(answers))), layout="constrained"
    )
    axis.axvline(0, color="black", linewidth=0.8)
    for place, (_, found, _) in enumerate(answers):
        clear = found.low > 0 or found.high < 0
        colour = CLEAR if clear else OPEN
        axis.plot([found.low, found.high], [place, place], color=colour, linewidth=2)
        axis.plot(found.value, place, "o", color=colour, markersize=5)
    if not answers:
        axis.text(0.5, 0.5, "no two sets to compare", transform=axis.transAxes)
    axis.set_yticks(range(len(answers)), [answer.claim.text for answer in answers])
    axis.invert_yaxis()
    axis.set_xlabel("better by, mm")
    axis.grid(alpha=0.25, axis="x")
    return figure


def _show(
    axis: Axes,
    parts: Sequence[tuple[pv.PolyData, str]],
    grid: Grid,
    view: View,
    reach: float = 0.0,
) -> None:
    axis.spines[:].set_visible(False)
    axis.imshow(scene(parts, grid, view, reach=reach))


def _reach(meshes: Sequence[pv.PolyData], grid: Grid) -> float:
    """How far surfaces reach from the grid's middle along an axis, mm."""
    boxes = np.array([mesh.bounds for mesh in meshes]).reshape(-1, 3, 2)
    return float(np.abs(boxes - middle_of(grid)[:, None]).max())


def _facing(cuboid: Cuboid, grid: Grid) -> View:
    """The view of a skull from the side on which its defect is."""
    middle = middle_of(grid)
    x, y, z = (cuboid.centre - middle) / np.linalg.norm(cuboid.centre - middle)
    return (x, y, z), ((0, 0, 1) if abs(z) < STEEP else (0, 1, 0))


def _matrix(rotation: Tensor, translation: Tensor) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.numpy(), translation.numpy()
    return matrix
