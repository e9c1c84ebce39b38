"""Skulls as surfaces, rendered off screen."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from vtkmodules.vtkCommonCore import vtkLogger

from skfm_lib.data.bone_fractions import as_values, skull_surface
from skfm_lib.data.voxels import Grid
from skfm_lib.view.slices import panels

vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)  # no warning about the display
IVORY = "#e8dfc8"
VIEWS = {  # camera direction from the skull, and the direction that is up, in RAS
    "front": ((0, 1, 0), (0, 0, 1)),
    "oblique": ((-0.75, 1, 0.2), (0, 0, 1)),
    "side": ((-1, 0, 0), (0, 0, 1)),
    "below": ((0, 0, -1), (0, 1, 0)),
    "above": ((0, 0, 1), (0, 1, 0)),
}
POINTS: dict[str, Any] = {"point_size": 5, "render_points_as_spheres": True}
LOOK: dict[str, Any] = {"smooth_shading": True, "specular": 0.15, "ambient": 0.1}
# Positions and intensities of a key light and a weak one from the other side.
LIGHTS = (((-0.6, 0.5, 1.0), 0.85), ((1.0, 0.4, 0.1), 0.35))


def smooth_surface(volume: np.ndarray, grid: Grid) -> pv.PolyData:
    """The surface of a skull in RAS mm, for display (Taubin, no shrinking).

    `volume` has bits or bytes as a `SkullSet`, or a network's v.  Smoothing removes the
    steps of the voxels; do not measure on it.
    """
    mesh = skull_surface(volume, grid)
    return mesh.smooth_taubin(n_iter=30, pass_band=0.08).compute_normals(
        split_vertices=True, feature_angle=60
    )


def picture(
    mesh: pv.PolyData, grid: Grid, view: str = "front", pixels: int = 420
) -> np.ndarray:
    """A rendering (pixels, pixels, 3) uint8; the same scale for every skull."""
    return scene([(mesh, IVORY)], grid, VIEWS[view], pixels)


def scene(
    parts: Sequence[tuple[pv.PolyData, str]],
    grid: Grid,
    view: tuple[Sequence[float], Sequence[float]],
    pixels: int = 420,
    reach: float = 0.0,
) -> np.ndarray:
    """A rendering of surfaces and point clouds, each with its colour.

    It shows the grid, or `reach` mm to each side of its middle where that is more.
    `view` is as in `VIEWS`; the camera direction has about the length 1.
    """
    direction, up = view
    plotter = pv.Plotter(off_screen=True, window_size=[pixels, pixels], lighting=None)
    plotter.background_color = pv.Color("white")
    for mesh, colour in parts:
        plotter.add_mesh(mesh, color=colour, **LOOK, **POINTS)
    for position, strength in LIGHTS:
        light = pv.Light(light_type="camera light", intensity=strength)
        light.position = position
        plotter.add_light(light)
    centre = middle_of(grid)
    plotter.camera.focal_point = centre
    plotter.camera.position = centre + 700 * np.array(direction, float)
    plotter.camera.up = up
    plotter.camera.parallel_projection = True
    plotter.camera.parallel_scale = max(reach, 0.5 * grid.spacing * max(grid.shape))
    plotter.reset_camera_clipping_range()
    image = plotter.screenshot(return_img=True)
    plotter.close()
    return np.asarray(image)


def middle_of(grid: Grid) -> np.ndarray:
    """The middle (3,) of a grid, RAS mm."""
    return grid.to_mm((np.array([grid.shape]) - 1) / 2)[0]


def mesh_rows(
    rows: Mapping[str, Sequence[np.ndarray]],
    grid: Grid,
    titles: Sequence[str],
    view: str = "oblique",
) -> Figure:
    """Rendered skulls: one row a source, one column a title (Fig. 4a)."""
    figure, axes = panels(list(rows), titles, 1.9, 2.0)
    for line, volumes in zip(axes, rows.values()):
        for axis, volume in zip(line, volumes):
            draw(axis, volume, grid, view)
    return figure


def view_rows(
    rows: Mapping[str, Sequence[np.ndarray]],
    grid: Grid,
    titles: Sequence[str],
    views: Sequence[str] = ("front", "oblique", "below"),
) -> Figure:
    """Rendered skulls: one row a source, for each title all views."""
    columns = [f"{title}, {view}" for title in titles for view in views]
    figure, axes = panels(list(rows), columns, 1.9, 1.9)
    for line, volumes in zip(axes, rows.values()):
        pairs = [(volume, view) for volume in volumes for view in views]
        for axis, (volume, view) in zip(line, pairs):
            draw(axis, volume, grid, view)
    return figure


def draw(axis: Axes, volume: np.ndarray, grid: Grid, view: str) -> None:
    """A rendering on an axis of a figure, or a text for a volume without bone."""
    axis.spines[:].set_visible(False)
    if as_values(volume).max() > 0:
        axis.imshow(picture(smooth_surface(volume, grid), grid, view))
    else:  # an untrained network can generate an empty volume
        axis.text(0.5, 0.5, "no bone", ha="center", transform=axis.transAxes)
