"""Plain measures against shapes whose values are known, and on damaged phantoms."""

import numpy as np
import pytest
from scipy import ndimage

from skfm_lib.data.bone_fractions import as_bytes, as_fraction, is_bone
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.evaluation.screening import anatomy
from skfm_lib.utils.errors import SkfmError

SHAPE = (57, 44, 64)
GRID = skull_grid(SHAPE)
MEASURES = (
    anatomy.topology,
    anatomy.size,
    anatomy.tooth_relief,
    anatomy.asymmetry,
)


def points(grid):
    """x, y, z of every voxel, mm, (D, H, W) each."""
    x, y, z = grid.axes()
    return np.broadcast_arrays(x[None, :, None], y[:, None, None], z[None, None, :])


def ball(centre, radius, grid=GRID):
    return sum((p - c) ** 2 for p, c in zip(points(grid), centre)) < radius**2


@pytest.fixture(scope="module")
def skull():
    return is_bone(phantom_skull(3, 5, SHAPE))


def test_topology_of_known_bodies():
    shell = ball((0, 0, 0), 40) & ~ball((0, 0, 0), 25)
    x, y, z = points(GRID)
    torus = (np.hypot(x, y) - 45) ** 2 + z**2 < 15**2
    two = ball((0, 0, 45), 30) | ball((0, 0, -45), 15)
    zero = {"parts": 1, "loose": 0.0, "tunnels": 0, "cavities": 0}
    assert anatomy.topology(ball((0, 0, 0), 40), GRID) == zero
    assert anatomy.topology(shell, GRID) == {**zero, "cavities": 1}
    assert anatomy.topology(torus, GRID) == {**zero, "tunnels": 1}
    found = anatomy.topology(two, GRID)
    assert found["parts"] == 2
    small = ball((0, 0, -45), 15).sum()
    assert found["loose"] == pytest.approx(small * GRID.spacing**3 / 1000)


def test_crumbs_are_loose_bone_but_not_parts():
    bone = ball((0, 0, 0), 40)
    bone[2, 2, 2] = True
    found = anatomy.topology(bone, GRID)
    assert found["parts"] == 1 and found["loose"] > 0


def test_small_cavities_and_narrow_holes_are_neither_cavities_nor_tunnels():
    solid = ball((0, 0, 0), 60)
    x, y, z = points(GRID)
    for radius, cavities in ((4, 0), (9, 1)):  # 0.3 and 3 cm³
        void = ball((20, 0, 0), radius)
        assert anatomy.topology(solid & ~void, GRID)["cavities"] == cavities
    for width, tunnels in ((4, 0), (20, 1)):
        bore = (np.abs(x - 1) < width / 2) & (np.abs(y) < width / 2)
        assert anatomy.topology(solid & ~bore, GRID)["tunnels"] == tunnels


@pytest.mark.parametrize("seed", range(3))
def test_smoothing_of_a_good_skull_changes_its_topology_little(seed):
    """As far as an autoencoder blurs; all cavities and tunnels change more."""
    skull = phantom_skull(seed, 4, SHAPE)
    soft = as_bytes(ndimage.gaussian_filter(as_fraction(skull), 0.45))
    one, two = (anatomy.topology(volume, GRID) for volume in (skull, soft))
    assert abs(one["tunnels"] - two["tunnels"]) <= 2
    assert abs(one["cavities"] - two["cavities"]) <= 1


def test_one_more_hole_is_one_more_tunnel(skull):
    holed = skull & ~ball((0, -80, 60), 16)
    before, after = (anatomy.topology(b, GRID)["tunnels"] for b in (skull, holed))
    assert after == before + 1


def test_size_of_a_box_in_millimetres():
    bone = np.zeros(SHAPE, bool)
    bone[10:40, 12:32, 20:50] = True
    found = anatomy.size(bone, GRID)
    assert found["volume"] == pytest.approx(30 * 20 * 30 * GRID.spacing**3 / 1000)
    extents = [found[name] / GRID.spacing for name in ("length", "breadth", "height")]
    assert extents == pytest.approx([30, 20, 30])
    bone[56, 43, 63] = True  # one voxel far away
    assert anatomy.size(bone, GRID)["length"] == found["length"]


def test_a_finer_grid_gives_the_same_millimetres(skull):
    fine, voxels = GRID.refined(2), skull.repeat(2, 0).repeat(2, 1).repeat(2, 2)
    for measure in (anatomy.topology, anatomy.size):
        one, two = measure(skull, GRID), measure(voxels, fine)
        assert two == pytest.approx(one, abs=GRID.spacing)


def test_a_flat_wall_has_a_relief_of_one_third_and_nothing_none():
    x, y, z = points(GRID)
    (left, right), (back, front), (low, high) = anatomy.TEETH
    wall = y < (back + front) / 2
    assert anatomy.tooth_relief(wall, GRID) == pytest.approx(1 / 3, abs=1e-6)
    assert anatomy.tooth_relief(z > high + 2 * GRID.spacing, GRID) == 0


@pytest.mark.parametrize("seed", range(4))
def test_blur_and_noise_lower_the_relief(seed):
    bone = phantom_skull(seed, 5, SHAPE)
    soft = as_bytes(ndimage.gaussian_filter(as_fraction(bone), 0.8))
    bits = is_bone(bone)
    noisy = bits ^ (np.random.default_rng(seed).random(SHAPE) < 0.05)
    for sharp, worse in ((bone, soft), (bits, noisy)):
        reliefs = [anatomy.tooth_relief(volume, GRID) for volume in (sharp, worse)]
        assert reliefs[1] < reliefs[0] - 0.01


def test_sides_that_match_leave_nothing_and_a_missing_one_is_measured(skull):
    assert anatomy.asymmetry(skull, GRID) == 0
    x, y, z = points(GRID)
    lost = (x > 15) & (y > 20) & (z < 0)  # the right half of the lower face
    mirror = (x < -15) & (y > 20) & (z < 0)
    volume = (skull & mirror).sum() * GRID.spacing**3 / 1000
    found = anatomy.asymmetry(skull & ~lost, GRID)
    assert 0.5 * volume < found <= 1.1 * volume


def test_the_plane_of_symmetry_is_found():
    tilt, shift = 0.06, 3.0
    x, y, z = points(GRID)
    across = x - tilt * y - shift
    body = ((across / 50) ** 2 + (y / 80) ** 2 + (z / 70) ** 2 < 1) & (z + y > -30)
    spots = (np.abs(across) > 12) & (np.abs(y - 30) < 25) & (z < 0)
    assert anatomy.asymmetry(body & ~spots, GRID) == 0
    one_sided = spots & (across > 0)
    assert anatomy.asymmetry(body & ~one_sided, GRID) > 0


def test_mirroring_and_moving_change_nothing(skull):
    moved = np.roll(skull, (1, -1, 1), (0, 1, 2))
    for other in (skull[:, ::-1], moved):
        for measure in (anatomy.topology, anatomy.size):
            assert measure(other, GRID) == pytest.approx(measure(skull, GRID))
        assert anatomy.asymmetry(other, GRID) == 0
    mirrored = anatomy.tooth_relief(skull[:, ::-1], GRID)
    assert mirrored == pytest.approx(anatomy.tooth_relief(skull, GRID))


def test_blocks_hold_shares_and_keep_the_volume(skull):
    blocks = anatomy.downsample(skull, GRID, 8.0)
    assert blocks.shape == (29, 22, 32) and 0 <= blocks.min() <= blocks.max() <= 1
    assert blocks.sum() * 8 == pytest.approx(skull.sum())
    assert (
        anatomy.downsample(skull, GRID, 1.0).shape == SHAPE
    )  # never finer than voxels


@pytest.mark.parametrize("measure", MEASURES)
def test_bad_volumes_are_refused(measure, skull):
    coarse = Grid((28, 22, 32), 8.0, (0.0, 0.0, 0.0))
    for bone in (np.zeros(SHAPE, bool), skull.astype(np.float32), skull[1:]):
        with pytest.raises(SkfmError):
            measure(bone, GRID)
    with pytest.raises(SkfmError, match=r"expected bits or bytes \(28, 22, 32\)"):
        measure(skull, coarse)
