"""Skulls as surfaces: rendered to pictures, without a screen."""

from collections.abc import Sequence

import numpy as np
import pyvista as pv
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from vtkmodules.vtkCommonCore import vtkLogger

from skfm_lib.data.voxels import Grid, surface
from skfm_lib.view.slices import panels

vtkLogger.SetStderrVerbosity(vtkLogger.VERBOSITY_ERROR)  # it warns of no screen
IVORY = "#e8dfc8"
VIEWS = {  # camera direction from the skull, and what is up, in RAS
    "front": ((0, 1, 0), (0, 0, 1)),
    "oblique": ((-0.75, 1, 0.2), (0, 0, 1)),
    "side": ((-1, 0, 0), (0, 0, 1)),
    "below": ((0, 0, -1), (0, 1, 0)),
    "above": ((0, 0, 1), (0, 1, 0)),
}
ROUND = ("front", "oblique", "side", "below")  # of one skull, in `view_rows`


def skull_surface(volume: np.ndarray, grid: Grid, level: float = 0.5) -> pv.PolyData:
    """The surface of a volume in RAS mm, smoothed for the eye (Taubin, no shrinking).

    Smoothing takes off the steps of the voxels; measures are never taken on it.
    """
    mesh = surface(volume, grid, level)
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
    """A rendering of surfaces and clouds of points, each in a colour of its own.

    view   as in `VIEWS`; the direction has about the length 1
    reach  mm that are seen to each side of the grid's middle, if more than its own
    """
    direction, up = view
    plotter = pv.Plotter(off_screen=True, window_size=(pixels, pixels), lighting=None)
    plotter.set_background("white")
    look = {"smooth_shading": True, "specular": 0.15, "ambient": 0.1}
    dots = {"point_size": 5, "render_points_as_spheres": True}
    for mesh, colour in parts:
        plotter.add_mesh(mesh, color=colour, **look, **dots)
    _light(plotter)
    centre = middle_of(grid)
    plotter.camera.focal_point = centre
    plotter.camera.position = centre + 700 * np.array(direction, float)
    plotter.camera.up = up
    plotter.enable_parallel_projection()
    plotter.camera.parallel_scale = max(reach, 0.5 * grid.spacing * max(grid.shape))
    plotter.reset_camera_clipping_range()
    image = plotter.screenshot(return_img=True)
    plotter.close()
    return image


def middle_of(grid: Grid) -> np.ndarray:
    """The place (3,) that is looked at, RAS mm."""
    return grid.to_mm((np.array([grid.shape]) - 1) / 2)[0]


def mesh_rows(
    rows: dict[str, Sequence[np.ndarray]],
    grid: Grid,
    titles: Sequence[str],
    view: str = "oblique",
    level: float = 0.5,
) -> Figure:
    """Rendered skulls: one row a source, one column a title (Fig. 4a)."""
    figure, axes = panels(list(rows), titles, 1.9, 2.0)
    for line, volumes in zip(axes, rows.values()):
        for axis, volume in zip(line, volumes):
            draw(axis, volume, grid, view, level)
    return figure


def view_rows(rows: dict[str, np.ndarray], grid: Grid, level: float = 0.5) -> Figure:
    """One skull a row, from the front, obliquely, from the side and from below."""
    figure, axes = panels(list(rows), ROUND, 2.2, 2.2)
    for line, volume in zip(axes, rows.values()):
        for axis, view in zip(line, ROUND):
            draw(axis, volume, grid, view, level)
    return figure


def draw(
    axis: Axes, volume: np.ndarray, grid: Grid, view: str, level: float = 0.5
) -> None:
    """A rendering on an axis of a figure, or the words that there is no bone."""
    axis.spines[:].set_visible(False)
    if volume.max() > level:
        axis.imshow(picture(skull_surface(volume, grid, level), grid, view))
    else:  # an untrained network can draw an empty volume
        axis.text(0.5, 0.5, "no bone", ha="center", transform=axis.transAxes)


def _light(plotter: pv.Plotter) -> None:
    """A key light from above and the side, a weak one from the other side."""
    for position, strength in (((-0.6, 0.5, 1.0), 0.85), ((1.0, 0.4, 0.1), 0.35)):
        light = pv.Light(light_type="camera light", intensity=strength)
        light.position = position
        plotter.add_light(light)
