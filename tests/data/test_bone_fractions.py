"""Fractions of bone: their scales, and walls that stay closed in coarse blocks."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from skfm_lib.data import bone_fractions
from skfm_lib.data.bone_fractions import (
    FLOOR,
    LEVEL,
    as_bytes,
    as_fraction,
    as_values,
    block_fractions,
    from_network,
    is_bone,
    network_values,
    skull_surface,
    stored,
)
from skfm_lib.data.voxels import Grid

BYTES = np.arange(256, dtype=np.uint8)
COARSE = Grid((8, 8, 8), 4.08, (0.0, 0.0, 0.0))


def coordinates(n):
    return np.stack(np.meshgrid(*[np.arange(n) + 0.5] * 3, indexing="ij")) - n / 2


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_every_byte_survives_the_networks_scale(kind):
    v = network_values(kind(BYTES))
    assert as_bytes(np.asarray(from_network(v))).tolist() == BYTES.tolist()
    assert str(v.dtype).endswith("float32") and (np.diff(np.asarray(v)) > 0).all()
    assert v[0] == -1 and v[255] == 1 and v[85] == 0 and 85 / 255 == LEVEL
    assert np.array_equal(np.asarray(is_bone(kind(BYTES))), np.asarray(v) > 0)


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_bits_are_fractions_of_0_and_1(kind):
    bits = kind(BYTES % 3 == 0)
    assert np.array_equal(np.asarray(as_fraction(bits)), np.asarray(bits) * 1.0)
    assert np.array_equal(np.asarray(network_values(bits)), np.asarray(bits) * 2.0 - 1)
    assert is_bone(bits) is bits and (as_values(network_values(bits)) > 0).any()


def test_a_network_s_volume_is_stored_as_its_grid_holds_it():
    v = np.linspace(-1.2, 1.2, 512, dtype=np.float32).reshape(COARSE.shape)
    coarse, fine = stored(v, COARSE), stored(v, COARSE.refined(8))
    assert coarse.dtype == np.uint8 and fine.dtype == bool
    for volume in (coarse, fine):
        assert np.array_equal(is_bone(volume)[v > 0.01], (v > 0)[v > 0.01])
        assert not is_bone(volume)[v < 0].any()
    assert coarse.min() == 0 and coarse.max() == 255


def test_a_plane_lies_where_its_fractions_say():
    fractions = np.zeros(COARSE.shape, np.uint8)
    fractions[:4], fractions[4] = 255, 51
    # The fraction falls from 1 to 0.2 between two layers, and is a third after 5/6.
    for volume in (fractions, network_values(fractions)):
        front = skull_surface(volume, COARSE).points[:, 1].max()
        assert front == pytest.approx((3 + 5 / 6) * COARSE.spacing, abs=1e-3)
    for grid in (COARSE, COARSE.refined(8)):  # bits: half-way between the layers
        front = skull_surface(is_bone(fractions), grid).points[:, 1].max()
        assert front == pytest.approx(grid.origin[1] + 3.5 * grid.spacing, abs=1e-4)


@pytest.mark.parametrize("factor", [4, 8])
def test_a_thin_shell_stays_closed_and_shares_are_kept(factor):
    r = np.sqrt((coordinates(96) ** 2).sum(0))
    shell = np.abs(r - 35) < 0.9
    share, kept = (block_fractions(shell, factor, f) for f in (0.0, FLOOR))
    assert share.sum() * factor**3 == pytest.approx(shell.sum())
    assert (kept >= share).all() and kept.shape == share.shape
    raised = kept > share
    assert np.allclose(kept[raised], FLOOR) and (share[raised] < FLOOR).all()
    outside = [
        ndimage.label(f <= LEVEL)[0][tuple(i // factor for i in (48, 48, 48))]
        == ndimage.label(f <= LEVEL)[0][0, 0, 0]
        for f in (kept, share)
    ]
    assert outside == [False, True]


def test_a_body_with_one_empty_side_has_its_shares():
    solid = (coordinates(64) ** 2).sum(0) < 25**2
    assert np.array_equal(block_fractions(solid, 8), block_fractions(solid, 8, 0.0))
    assert block_fractions(solid[:61], 8).shape == (8, 8, 8)


def test_parts_are_counted_by_block(monkeypatch):
    monkeypatch.setattr(bone_fractions, "BLOCKS", 3)
    empty = np.ones((5, 6, 6, 6), bool)
    empty[1, 3] = False  # a wall
    empty[2, 3, :5] = False  # with a gap
    empty[3, 0, 0, 1] = empty[3, 0, 1, 0] = empty[3, 1, 0, 0] = False  # a cell of one
    assert bone_fractions._divided(empty).tolist() == [False, True, False, False, False]
    walls = np.zeros((32, 32, 32), bool)
    walls[17] = True
    found = block_fractions(walls, 8)
    assert np.allclose(found[2], FLOOR) and not found[[0, 1, 3]].any()
