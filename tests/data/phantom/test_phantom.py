"""Procedural skulls: deterministic, anatomical in size, cut as their score says."""

import numpy as np
import pytest
from scipy import ndimage

from skfm_lib.data.bone_fractions import LEVEL, as_fraction, is_bone
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom.craniometry import craniometry
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError

EIGHTH, QUARTER = (57, 44, 64), (114, 88, 128)
SEEDS = range(6)


@pytest.fixture(scope="module")
def complete() -> dict[int, np.ndarray]:
    return {seed: is_bone(phantom_skull(seed, 5, QUARTER)) for seed in SEEDS}


def extent(volume: np.ndarray, axis: int, spacing: float) -> float:
    """Millimetres from the first to the last occupied slice."""
    others = tuple({0, 1, 2} - {axis})
    filled = np.flatnonzero(volume.any(others))
    return (filled[-1] - filled[0] + 1) * spacing


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_same_seed_and_quality_give_the_same_skull() -> None:
    first, again = (phantom_skull(3, 5, EIGHTH) for _ in range(2))
    assert first.dtype == np.uint8 and first.shape == EIGHTH
    assert (first == again).all()
    assert dice(is_bone(first), is_bone(phantom_skull(4, 5, EIGHTH))) < 0.9


def test_slabs_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = phantom_skull(2, 5, EIGHTH)
    monkeypatch.setattr("skfm_lib.data.phantom.SLAB_POINTS", 3 * 44 * 64)
    assert (is_bone(phantom_skull(2, 5, EIGHTH)) != is_bone(whole)).mean() < 1e-3


def test_qualities_share_the_individual() -> None:
    """Where two fields of view overlap, the bone is the same."""
    full, cap = (phantom_skull(8, q, EIGHTH) for q in (5, 2))
    assert is_bone(cap).sum() > 1000
    assert (cap[cap > 0] == full[cap > 0]).mean() > 0.99


def test_same_individual_at_two_shapes(complete) -> None:
    """Dice of other individuals is much smaller."""
    halved = as_fraction(phantom_skull(5, 5, QUARTER))
    blocks = halved.reshape(57, 2, 44, 2, 64, 2).mean((1, 3, 5)) > LEVEL
    assert dice(blocks, is_bone(phantom_skull(5, 5, EIGHTH))) > 0.85
    assert dice(blocks, is_bone(phantom_skull(3, 5, EIGHTH))) < 0.7


@pytest.mark.parametrize("seed", SEEDS)
def test_length_and_breadth_are_the_drawn_ones(seed, complete) -> None:
    grid, who = skull_grid(QUARTER), craniometry(seed)
    above = grid.axes()[2] > 33  # over the nose and the zygomatic arches
    vault = complete[seed][:, :, above]
    tolerance = 2 * grid.spacing  # a tilted skull is longer
    assert extent(vault, 0, grid.spacing) == pytest.approx(who.length, abs=tolerance)
    assert extent(vault, 1, grid.spacing) == pytest.approx(who.breadth, abs=tolerance)


def test_sides_differ_a_little(complete) -> None:
    """Asymmetry and pose of a millimetre or two; Dice measured 0.70–0.80."""
    for skull in complete.values():
        assert 0.5 < dice(skull, skull[:, ::-1]) < 0.95


def test_bones_hold_together(complete) -> None:
    for skull in complete.values():
        labels, _ = ndimage.label(skull)
        assert np.bincount(labels.ravel())[1:].max() > 0.95 * skull.sum()


@pytest.mark.parametrize("quality", QUALITY_SCORES)
def test_only_the_field_of_view_meets_the_border(quality) -> None:
    for seed in range(8):
        skull = phantom_skull(seed, quality, EIGHTH)
        sides = (skull[0], skull[-1], skull[:, 0], skull[:, -1], skull[:, :, -1])
        assert skull.any() and not any(side.any() for side in sides)


def test_quality_says_what_is_seen() -> None:
    """Share of individuals with bone at the cap, the nasal floor and the chin."""
    z = skull_grid(EIGHTH).axes()[2]
    seen = {}
    for quality in QUALITY_SCORES:
        skulls = [is_bone(phantom_skull(s, quality, EIGHTH))[36:] for s in range(12)]
        bone = np.array([skull.any((0, 1)) for skull in skulls])
        seen[quality] = [
            bone[:, at].any(1).mean()
            for at in (z > 85, abs(z + 18) < 3, abs(z + 48) < 3, abs(z + 78) < 4)
        ]
    cap, nose, teeth, chin = np.array([seen[q] for q in QUALITY_SCORES]).T
    assert (cap[[0, 1, 3]] == 1).all() and 0 < cap[2] < 1 and cap[4] == 0
    assert (nose[[2, 3, 4]] == 1).all()
    assert (teeth[:3] == 0).all() and teeth[3] > 0.5 and teeth[4] == 1
    assert (chin[:3] == 0).all() and chin[4] == 1


@pytest.mark.parametrize("quality", [1, 7, 0])
def test_unknown_quality_is_refused(quality) -> None:
    with pytest.raises(SkfmError, match="quality score.*2, 3, 4, 5, 6"):
        phantom_skull(0, quality, EIGHTH)


def test_negative_seeds_and_empty_shapes_are_refused() -> None:
    with pytest.raises(SkfmError, match="seed -1; expected an integer"):
        phantom_skull(-1, 5, EIGHTH)
    with pytest.raises(SkfmError, match=r"shape \(0, 44, 64\); expected numbers of"):
        phantom_skull(0, 5, (0, 44, 64))
