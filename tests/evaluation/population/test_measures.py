"""Measures of the braincase on shells whose measures are known."""

import numpy as np
import pytest

from skfm_lib.data.bone_fractions import as_bytes
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation.population.measures import SHAPE, UNITS
from skfm_lib.evaluation.population.skulls import Examined, all_measures, examine
from skfm_lib.evaluation.screening.vault import CENTRE

GRID = skull_grid((57, 44, 64))
LENGTH, BREADTH, HALF_HEIGHT, WALL = 176.0, 140.0, 76.0, 10.0


def shell(bump: float = 0.0) -> np.ndarray:
    """An ellipsoid shell about CENTRE as bytes; its right side bulges by `bump` mm."""
    x, y, z = GRID.axes()
    points = np.stack(np.broadcast_arrays(x[None, :, None], y[:, None, None], z), -1)
    away = points - CENTRE
    half = np.array([BREADTH / 2, LENGTH / 2, HALF_HEIGHT])
    unit = away / np.maximum(np.linalg.norm(away, axis=-1, keepdims=True), 1e-6)
    radius = 1 / np.linalg.norm(unit / half, axis=-1)
    radius += bump * np.exp(-((unit - (0.8, 0, 0.6)) ** 2).sum(-1) / 0.6)
    outer = np.linalg.norm(away, axis=-1) - radius
    # Across the wall, along the normal.
    slope = np.linalg.norm(np.stack(np.gradient(outer, GRID.spacing)), axis=0)
    outer /= np.maximum(slope, 1)
    depth = np.abs(outer + WALL / 2) - WALL / 2
    return as_bytes(np.clip(0.5 - depth / GRID.spacing, 0, 1))


@pytest.fixture(scope="module")
def whole():
    return examine(shell(), GRID).measures


def test_size_and_thickness_are_those_of_the_shell(whole):
    assert {*whole} == {*UNITS} - {SHAPE}
    assert whole["length"] == pytest.approx(LENGTH, abs=1.5)
    assert whole["breadth"] == pytest.approx(BREADTH, abs=1.5)
    assert whole["vault height"] == pytest.approx(CENTRE[2] + HALF_HEIGHT, abs=1)
    for site in ("frontal", "parietal", "temporal", "occipital"):
        assert whole[f"{site} thickness"] == pytest.approx(WALL, abs=1)


def test_a_whole_even_shell_has_no_holes_and_no_asymmetry(whole):
    assert whole["vault holes"] == 0 and whole["asymmetry"] < 0.3


def test_a_bulge_on_one_side_is_asymmetry(whole):
    bulged = examine(shell(bump=8.0), GRID).measures
    assert bulged["asymmetry"] > whole["asymmetry"] + 0.5


def test_a_hole_has_its_area_and_no_other_consequence(whole):
    volume = shell()
    x, y, _ = GRID.axes()
    hole = np.hypot(y[:, None] - 20, x) < 20
    volume[hole, GRID.axes()[2].searchsorted(60) :] = 0
    holed = examine(volume, GRID).measures
    assert holed["vault holes"] == pytest.approx(np.pi * 2**2, rel=0.35)
    assert holed["length"] == whole["length"]
    assert holed["parietal thickness"] == pytest.approx(
        whole["parietal thickness"], 0.05
    )
    assert holed["bone volume"] < whole["bone volume"]


def test_the_shape_of_a_vault_is_its_distance_from_the_mean_of_the_others():
    radii = np.full((61, 61), 80.0)
    phantoms = [Examined({}, radii + r) for r in (-2.0, 0.0, 2.0)]
    found = all_measures(phantoms, [Examined({}, radii + 5)])
    assert [row[SHAPE] for row in found] == pytest.approx([3, 0, 3, 5])
