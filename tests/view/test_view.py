"""Pictures: orientation, and panels that say what they show."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from skfm_lib.data.voxels import skull_grid  # noqa: E402
from skfm_lib.metrics import Interval  # noqa: E402
from skfm_lib.view import curves, meshes, slices, tables  # noqa: E402

GRID = skull_grid((29, 22, 32))


def block(*corner):
    """A block of bone at a corner of the grid."""
    volume = np.zeros(GRID.shape, np.float32)
    volume[tuple(slice(c, c + 8) for c in corner)] = 1
    return volume


def test_slices_are_upright_with_the_nose_to_the_left():
    front_top = block(20, 8, 22)
    image = slices.middle_slice(front_top, "sagittal")  # rows go up
    assert image.shape == (32, 29) and image[24, 4] == 1 and image[4, 24] == 0
    right = block(10, 13, 12)
    assert slices.middle_slice(right, "coronal")[15, 5] == 1  # patient's right: left
    assert slices.middle_slice(right, "axial")[12, 5] == 1


@pytest.mark.parametrize(
    ("view", "corner", "seen"),
    [
        ("front", (10, 14, 22), (0, 0)),  # patient's right and top: left and up
        ("side", (20, 8, 22), (0, 0)),  # from the patient's left: nose to the left
    ],
)
def test_renderings_are_upright_and_not_mirrored(view, corner, seen):
    mesh = meshes.smooth_surface(block(*corner), GRID)
    dark = meshes.picture(mesh, GRID, view, pixels=120).mean(axis=2) < 250
    rows, columns = np.nonzero(dark)
    assert (rows.mean() > 60, columns.mean() > 60) == tuple(map(bool, seen))


def test_an_empty_volume_is_named_and_not_drawn():
    rows = {"none": [np.zeros(GRID.shape, np.float32)]}
    figure = meshes.mesh_rows(rows, GRID, ["QS 5"])
    assert [text.get_text() for text in figure.axes[0].texts] == ["no bone"]


def test_views_of_each_source_stand_side_by_side():
    empty = np.zeros(GRID.shape, np.float32)
    rows = {"head": [block(10, 7, 12), empty]}
    figure = meshes.view_rows(rows, GRID, ["CT", "net"], ["front", "below"])
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == ["CT, front", "CT, below", "net, front", "net, below"]
    assert [bool(axis.images) for axis in figure.axes] == [True, True, False, False]


def test_panels_name_rows_and_columns():
    figure = slices.slice_rows({"a": [block(8, 8, 8)], "b": [block(8, 8, 8)]}, ["QS 5"])
    first, second = figure.axes
    assert (first.get_title(), first.get_ylabel()) == ("QS 5", "a")
    assert (second.get_title(), second.get_ylabel()) == ("", "b")


def test_loss_curves_end_at_the_running_mean():
    values = list(np.linspace(2, 1, 200))
    figure = curves.loss_curves({"net": {"loss": values}}, "loss")
    bold = figure.axes[0].lines[1].get_ydata()
    assert bold[-1] == pytest.approx(np.mean(values[-4:]))


def test_loss_curves_of_stretches_span_all_steps():
    figure = curves.loss_curves({"net": {"loss": [4.0, 2.0, 1.0]}}, "loss", 600)
    faint, bold = figure.axes[0].lines
    assert list(faint.get_xdata()) == list(bold.get_xdata()) == [200, 400, 600]
    figure.canvas.draw()
    labels = [t.get_text() for t in figure.axes[0].get_yticklabels(which="both")]
    assert "1" in labels and not any("10^" in label for label in labels)


def test_sweep_curves_shade_the_noise_and_hold_every_point():
    points = [(1, Interval(9, 8, 10)), (300, Interval(-0.1, -0.3, 0.1))]
    lines = {"a": points, "b": points[1:]}
    panels = {"left": (Interval(0.5, 0.2, 0.8), lines), "right": (points[0][1], lines)}
    figure = curves.sweep_curves(panels, "evaluations", "KID")
    left, right = figure.axes
    assert (left.get_title(), right.get_title()) == ("left", "right")
    assert left.get_ylabel() == "KID" and left.get_xlabel() == "evaluations"
    first, second = left.lines
    assert list(first.get_xdata()) == [1, 300] and list(second.get_xdata()) == [300]
    assert list(first.get_ydata()) == [9, -0.1]
    band = left.patches[0].get_extents().transformed(left.transData.inverted())
    assert (band.y0, band.y1) == pytest.approx((0.2, 0.8))
    low, high = left.get_ylim()
    assert low < -0.1 and high > 9  # no value is cut off, below 0 neither


def test_tables_leave_missing_cells_empty():
    text = tables.table({"a": {"x": 0.123456}, "b": {"y": 2}}, "tab-x", "A table").data
    assert ":name: tab-x" in text and "| a | 0.1235 |  |" in text
    assert "| b |  | 2 |" in text
