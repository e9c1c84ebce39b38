"""Candidates for thin bone: what each makes of a wall, and its holes."""

import numpy as np
import pytest
from heads import HEADS, needs_craniotomy, needs_plastic

from skfm_lib.data.bone_fractions import LEVEL
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation import thin_bone
from skfm_lib.evaluation.screening.ray_casting import Rays
from skfm_lib.evaluation.screening.vault import CENTRE, vault_holes

SHAPE = (57, 44, 64)
GRID = skull_grid(SHAPE)


def braincase(grid, inner, outer):
    x, y, z = grid.axes()
    axes = y[:, None, None] - CENTRE[1], x[:, None] - CENTRE[0], z - CENTRE[2]
    r = np.sqrt(sum(axis**2 for axis in axes))
    return (r > inner) & (r < outer)


@pytest.fixture(scope="module")
def ways():
    """Candidates for a shell of 2 mm, of blocks of 4³ voxels of 1.02 mm."""
    return thin_bone.candidates(braincase(GRID.refined(4), 68.0, 70.0), 4)


def test_only_bits_change_the_volume_and_only_the_floor_keeps_the_wall(ways):
    full = braincase(GRID.refined(4), 68.0, 70.0).sum() / 4**3
    for name, (fractions, _) in ways.items():
        assert fractions.shape == SHAPE and 0 <= fractions.min() <= fractions.max() <= 1
        if name.startswith("fraction, level"):
            assert fractions.sum() == pytest.approx(full)
    kept, level = ways[thin_bone.CHOSEN]
    assert level == LEVEL and kept.sum() > full
    holes = {
        name: vault_holes(fractions - np.float32(level), GRID)
        for name, (fractions, level) in ways.items()
    }
    assert holes[thin_bone.CHOSEN] < 1 < 20 < holes["fraction, level 0.5"]


def test_holes_have_their_area():
    """A hole of 20 mm across, around the vertex."""
    wall = braincase(GRID, 60, 70)
    x, y, _ = GRID.axes()
    away = np.hypot(y[:, None] - CENTRE[1], x - CENTRE[0])[..., None]
    assert vault_holes(wall - 0.5, GRID) == 0
    opened = vault_holes((wall & (away > 10)) - 0.5, GRID)
    assert opened == pytest.approx(np.pi, rel=0.35)  # in voxels of 4 mm


def test_finer_rays_meet_a_wall_between_two_samples():
    field = np.full(SHAPE, -0.1, np.float32)
    field[:, 30] = 0.02
    units, start = np.array([[[1.0, 0.0, 0.0]]]), np.zeros((1, 1, 3))
    firsts = [
        Rays(GRID, start, units, 1.0, 80.0, step).first_above(field)[0, 0]
        for step in (0.5, 0.05)
    ]
    assert np.isnan(firsts[0]) and np.isfinite(firsts[1])


@needs_plastic
@needs_craniotomy
def test_development_vaults_stay_closed_and_keep_their_volume():
    skulls = list(thin_bone.development_heads(HEADS))
    assert {skull.name for skull in skulls} == {"plastic", "craniotomy"}
    for skull in skulls:
        chosen = thin_bone.compare(skull, SHAPE)[thin_bone.CHOSEN]
        assert chosen[thin_bone.HOLES] < 1 and abs(chosen[thin_bone.VOLUME]) < 5


def test_what_was_compared_is_kept(tmp_path):
    kept = tmp_path / "thin.json"
    assert thin_bone.comparison(kept, lambda: iter(()), {"quick": SHAPE}) == {}
    again = thin_bone.comparison(kept, lambda: pytest.fail("again"), {"quick": SHAPE})
    assert again == {}
