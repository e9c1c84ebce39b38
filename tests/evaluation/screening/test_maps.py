"""Maps of vault and jaw: areas of holes drilled into ideal bodies and phantoms."""

import numpy as np
import pytest

from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation.screening import vault
from skfm_lib.evaluation.screening.ray_casting import (
    MOUTH,
    Rays,
    jaw_holes,
    openings,
)

SHAPE = (57, 44, 64)
GRID = skull_grid(SHAPE)


def points():
    x, y, z = GRID.axes()
    return np.broadcast_arrays(x[None, :, None], y[:, None, None], z[None, None, :])


def around(centre):
    return np.sqrt(sum((p - c) ** 2 for p, c in zip(points(), centre)))


def braincase(radius=72.0):
    """A hollow sphere about the vault's centre, two voxels thick."""
    r = around(vault.CENTRE)
    return (r > radius - 9) & (r < radius)


def cut(bone, height, tilt=0.1):
    x, y, z = points()
    return bone & (z + tilt * y < height)


def maps(*bones):
    return np.stack([vault.vault_map(bone, GRID) for bone in bones])


@pytest.fixture(scope="module")
def model():
    """Of braincases: complete ones have score 5, some of score 4 are cut."""
    sizes = (66.0, 69.0, 72.0, 75.0)
    complete = [braincase(r) for r in sizes]
    capless = [cut(braincase(r), h) for r, h in zip(sizes, (70, 78, 86, 95))]
    scores = np.array([5] * 4 + [4] * 8)
    return vault.VaultModel(maps(*complete, *complete, *capless), scores)


def test_every_pixel_stands_for_the_same_solid_angle():
    units, on_map, angle = vault.directions()
    assert np.allclose(np.linalg.norm(units[on_map], axis=-1), 1, atol=1e-9)
    cap = 2 * np.pi * (1 - np.cos(vault.LOWEST))
    assert on_map.sum() * angle == pytest.approx(cap, rel=0.02)


def test_a_map_holds_distances_to_the_inner_table():
    found = vault.vault_map(braincase(), GRID)
    on_map = vault.directions()[1]
    assert np.isfinite(found[on_map]).all()
    assert np.abs(found[on_map] - 63).max() < GRID.spacing


def test_rays_that_leave_the_grid_meet_nothing():
    units = np.array([[[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]]])
    rays = Rays(GRID, np.zeros_like(units), units, 0.0, 500.0)
    x, y, z = points()
    first = rays.first(x > 40)
    assert abs(first[0, 0] - 40) < GRID.spacing and np.isnan(first[0, 1])


def test_single_rays_between_voxels_are_no_openings():
    first = np.ones((9, 9))
    first[4, 4] = first[2, 5] = np.nan
    assert not openings(first, 2).any()
    first[5:7, 2:4] = np.nan
    assert openings(first, 2).sum() == 4 and not openings(first, 3).any()
    assert openings(np.full((9, 9), np.nan), 4).all()  # also at the map's ends


def test_cuts_are_learned_where_training_skulls_are_cut(model):
    assert model.cut == {4}


@pytest.mark.parametrize(("degrees", "tolerance"), [(8, 0.4), (13, 0.2), (20, 0.1)])
def test_the_area_of_a_hole(model, degrees, tolerance):
    towards = np.array([0.6, -0.5, 0.62]) / np.linalg.norm([0.6, -0.5, 0.62])
    ray = [p - c for p, c in zip(points(), vault.CENTRE)]
    along = sum(r * t for r, t in zip(ray, towards)) / np.sqrt(sum(r * r for r in ray))
    cone = along > np.cos(np.deg2rad(degrees))
    holed = maps(braincase() & ~cone)[0]
    inner = 61.5  # mm, the training braincases' mean inner radius
    area = 2 * np.pi * (1 - np.cos(np.deg2rad(degrees))) * inner**2 / 100
    for score in (4, 5):
        assert model.holes(holed, score) == pytest.approx(area, rel=tolerance)


@pytest.mark.parametrize(("height", "tilt"), [(75, 0.0), (82, 0.12), (92, -0.15)])
def test_a_scan_s_border_is_no_hole_unless_the_score_has_none(model, height, tilt):
    capless = maps(cut(braincase(71), height, tilt))[0]
    assert model.holes(capless, 4) < 1.0
    assert model.holes(capless, 5) > vault.LEAST_CUT


def test_a_ragged_border_is_no_border(model):
    x, y, z = points()
    notched = cut(braincase(), 85) & ~((np.abs(x) < 18) & (y > 0) & (z > 50))
    assert model.holes(maps(notched)[0], 4) > 4
    bridged = cut(braincase(), 85) | (braincase() & (np.abs(x) < 18))
    assert model.holes(maps(bridged)[0], 4) > 10


def tube():
    """A bent wall about the mouth's axis, like teeth and mandible."""
    x, y, z = points()
    r = np.hypot(x - MOUTH[0], y - MOUTH[1])
    return (r > 40) & (r < 50) & (z < 0)


def test_complete_and_evenly_ending_jaws_have_no_holes():
    x, y, z = points()
    assert jaw_holes(tube(), GRID) == 0
    # Borders with one lowest point along the wall; x² has more, at the ends behind.
    for border in (-70, -60 + 0.3 * x, -50 - 0.5 * y, -80 + 0.005 * (y - 95) ** 2):
        assert jaw_holes(tube() & (z > border), GRID) < 1.0


def test_holes_and_notches_of_a_jaw_are_measured():
    x, y, z = points()
    hole = (np.abs(x) < 12) & (y > 60) & (z > -80) & (z < -60)
    found = jaw_holes(tube() & (z > -105) & ~hole, GRID)
    assert found == pytest.approx(2 * 12 * 20 / 100, rel=0.45)
    left, right = (np.abs(x - side * 32) < 8 for side in (-1, 1))
    notched = tube() & (z > -85) & ~((left | right) & (y > 50) & (z < -55))
    assert jaw_holes(notched, GRID) > 2


@pytest.mark.parametrize("seed", range(3))
def test_lost_teeth_are_no_hole_and_a_lost_piece_of_jaw_is(seed):
    x, y, z = points()
    skull = phantom_skull(seed, 6, SHAPE)
    front = (np.abs(x) < 20) & (y > 60)
    teeth = skull * ~(front & (z < -34) & (z > -58))
    chin = skull * ~(front & (z < -34))
    before, toothless, chinless = (jaw_holes(b, GRID) for b in (skull, teeth, chin))
    assert toothless < before + 1.5
    assert chinless > before + 4


def test_a_gap_is_of_lost_teeth_where_crowns_have_been():
    x, y, z = points()
    wall = tube() & (z > -100)
    gaps = {(-60, -34): False, (-80, -34): True, (-80, -60): True}
    for (low, high), is_hole in gaps.items():
        gap = (np.abs(x) < 20) & (y > 50) & (z > low) & (z < high)
        assert (jaw_holes(wall & ~gap, GRID) > 4) == is_hole


def test_a_scan_that_ends_in_a_gap_of_lost_teeth_has_no_hole():
    x, y, z = points()
    single = np.abs(np.abs(x) - 14) < 6  # two teeth, between gaps, above the border
    lost = (np.abs(x) < 30) & (y > 50) & (z < -34) & ~single
    assert jaw_holes(tube() & (z > -48) & ~lost, GRID) < 1.5
