"""Dots beyond a limit are marked; pictures stand over what they are captioned by."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from matplotlib.collections import PathCollection  # noqa: E402
from matplotlib.colors import same_color  # noqa: E402

from skfm_lib.evaluation.screening import figures as view  # noqa: E402
from skfm_lib.evaluation.screening.measures import MEASURES, NAMES  # noqa: E402
from skfm_lib.evaluation.screening.reference_ranges import ScreeningResult  # noqa: E402
from skfm_lib.evaluation.screening.tolerance_limits import Limits  # noqa: E402
from skfm_lib.view.meshes import picture, smooth_surface  # noqa: E402

N = len(MEASURES)
VAULT, TEETH = NAMES.index("vault holes"), NAMES.index("tooth relief")


@pytest.fixture
def result(phantoms):
    """Of six skulls the first has holes, the fifth blurred teeth, the rest nothing."""
    values, excess = np.ones((6, N)), np.full((6, N), -1.0)
    requested = np.array(phantoms.qualities)  # 2 2 4 4 5 6
    values[requested < 5, TEETH], excess[requested < 5, TEETH] = np.nan, -np.inf
    values[0, VAULT], excess[0, VAULT] = 12.0, 9.0
    values[4, TEETH], excess[4, TEETH] = 0.25, 2.0
    return ScreeningResult(requested, requested, values, excess)


@pytest.fixture
def one(phantoms):
    return {"OTFM": phantoms}


def captions(figure):
    return [axis.get_xlabel().replace("\n", " ") for axis in figure.axes]


def dots_of(axis):
    return [c for c in axis.collections if isinstance(c, PathCollection)]


def test_dots_beyond_a_limit_are_rimmed_and_limits_drawn(result):
    scores, ends = np.array([2, 4, 5, 6]), np.full((4, N), 10.0)
    limits = Limits(scores, -ends, ends, np.ones((4, N)), np.zeros(N))
    figure = view.distributions({"OTFM": result}, limits)
    axis = figure.axes[VAULT]
    assert axis.get_title() == "vault holes cm²"
    rimmed = [
        dots.get_offsets()
        for dots in dots_of(axis)
        if same_color(dots.get_edgecolors()[0], view.RIM)
    ]
    assert [len(dots) for dots in rimmed] == [1] and rimmed[0][0, 1] == 12
    assert abs(rimmed[0][0, 0] - 2) <= view.WIDTH / 2  # above its own score
    bars = [c for c in axis.collections if hasattr(c, "get_segments")]
    heights = {segment[0, 1] for bar in bars for segment in bar.get_segments()}
    assert heights == {-10.0, 10.0}


def test_dots_far_beyond_stand_within_reach(result):
    scores, ends = np.array([2, 4, 5, 6]), np.full((4, N), 2.0)
    limits = Limits(scores, -ends, ends, np.full((4, N), 0.5), np.zeros(N))
    figure = view.distributions({"OTFM": result}, limits)
    heights = [dots.get_offsets()[:, 1].max() for dots in dots_of(figure.axes[VAULT])]
    assert max(heights) == 2 + view.FAR * 0.5  # and not 12


def test_the_worst_are_drawn_with_their_reasons(result, one, phantoms):
    figure = view.worst(one, {"OTFM": result}, count=6)
    assert captions(figure) == ["QS 2: vault holes 12 cm²", "QS 5: tooth relief 0.25"]
    for axis, item, side in zip(figure.axes, (0, 4), ("above", "oblique")):
        surface = smooth_surface(phantoms.volume(item), phantoms.grid)
        drawn = picture(surface, phantoms.grid, side)
        assert np.array_equal(axis.images[0].get_array(), drawn)


def test_the_worst_turn_with_their_reasons(result, one):
    viewer = view.worst_turning(one, {"OTFM": result}, count=6)
    labels = [exhibit.label for exhibit in viewer.exhibits]
    assert labels == [
        "OTFM 1, QS 2, vault holes 12 cm²",
        "OTFM 2, QS 5, tooth relief 0.25",
    ]
    assert viewer.stage and all(exhibit.parts for exhibit in viewer.exhibits)
    result.excess[:] = -1
    none = view.worst_turning(one, {"OTFM": result}, count=6)
    assert "no skull to show" in none._repr_html_()


def test_extremes_leave_out_what_no_skull_has(result, one):
    names = ("vault holes", "tooth relief")
    both = view.extremes(one, {"OTFM": result}, names)
    assert captions(both) == ["QS 2: vault holes 12 cm²", "QS 5: tooth relief 0.25"]
    result.excess[:, TEETH] = -np.inf
    single = view.extremes(one, {"OTFM": result}, names)
    assert captions(single) == ["QS 2: vault holes 12 cm²"]


def test_a_set_without_failures_has_an_empty_row(result, one):
    result.excess[:] = -1
    figure = view.worst(one, {"OTFM": result}, count=2)
    assert captions(figure) == [""] and not figure.axes[0].images
