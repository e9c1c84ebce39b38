"""Cuboid defects: where they lie, how large they are, what they take."""

import numpy as np
import pytest

from skfm_lib.tasks.defects import SHARES, SIDES, Cuboid, draw_defect
from skfm_lib.utils.errors import SkfmError


@pytest.fixture(scope="module")
def shell():
    points = np.random.default_rng(0).normal(size=(4000, 3))
    return points / np.linalg.norm(points, axis=1, keepdims=True) * (70, 90, 80)


def test_a_cuboid_holds_what_lies_between_its_sides():
    turn = np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]])  # its x axis is the room's y
    cuboid = Cuboid(np.array([10.0, 0, 0]), np.array([5.0, 2, 1]), turn)
    points = np.array([[10.0, 4.9, 0], [10, 5.1, 0], [12.1, 0, 0], [11.9, 0, 0.9]])
    assert cuboid.contains(points).tolist() == [True, False, False, True]
    assert cuboid.contains(points, margin=0.2).all()


def test_defects_are_of_the_paper_s_size_and_centred_on_bone(shell):
    drawn = [draw_defect(shell, seed) for seed in range(100)]
    sides = np.array([2 * cuboid.half for cuboid in drawn])
    assert sides.min() >= SIDES[0] == 30 and sides.max() <= SIDES[1] == 100
    assert sides.min() < 35 and sides.max() > 95
    for cuboid in drawn:
        assert np.allclose(cuboid.axes @ cuboid.axes.T, np.eye(3))
        assert (shell == cuboid.centre).all(axis=1).any()
        assert SHARES[0] <= cuboid.contains(shell).mean() <= SHARES[1]
    assert len({tuple(cuboid.centre) for cuboid in drawn}) > 90


def test_a_defect_follows_from_its_seed(shell):
    a, b, c = (draw_defect(shell, seed) for seed in (1, 1, 2))
    assert np.array_equal(a.half, b.half) and np.array_equal(a.axes, b.axes)
    assert not np.array_equal(a.half, c.half)


@pytest.mark.parametrize("scale", [0.01, 100])
def test_a_cloud_of_another_unit_is_reported(shell, scale):
    with pytest.raises(SkfmError, match="none of 1000 cuboids.*in mm"):
        draw_defect(shell * scale, 0)
