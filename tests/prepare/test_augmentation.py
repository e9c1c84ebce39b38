"""Variations: maps that do not fold, parents' side of the split, scores' fields."""

import json

import numpy as np
import pytest

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.registration.shape_model import MODES
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare import augmentation
from skfm_lib.prepare.augmentation import (
    MAX_CHANGE,
    STEP,
    augment,
    crop,
    integrate,
    random_warp,
    shown_scores,
)
from skfm_lib.prepare.extraction import REASON, SHAPE
from skfm_lib.prepare.score_proposal import landmarks
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

SHAPE_16 = scaled_shape(1 / 16)
GRID = skull_grid(SHAPE_16)
POINTS = np.random.default_rng(0).uniform(-90, 90, (3000, 3))


@pytest.mark.parametrize("seed", range(8))
def test_a_random_map_does_not_fold(seed):
    """Volumes of small tetrahedra, an independent measure, keep sign and bounds."""
    warp = random_warp(np.random.default_rng(seed))
    assert 1 / MAX_CHANGE <= warp.jacobian[0] < 1 < warp.jacobian[1] <= MAX_CHANGE
    corners = [warp(POINTS)] + [warp(POINTS + axis) for axis in 0.5 * np.eye(3)]
    edges = np.stack([corner - corners[0] for corner in corners[1:]], axis=1)
    volumes = np.linalg.det(edges) / 0.5**3
    assert volumes.min() > 0.5 and volumes.max() < 2
    moved = np.linalg.norm(corners[0] - POINTS, axis=1)
    assert 1 < moved.mean() < 12


def test_a_flow_and_its_reverse_undo_each_other():
    flow = augmentation._velocity(np.random.default_rng(1))
    back = integrate(-flow)(integrate(flow)(POINTS))
    assert np.linalg.norm(back - POINTS, axis=1).mean() < 0.1


def test_a_stretch_is_exact():
    """The flow s·x has the map x·exp(s), whose determinant is its volume's growth."""
    flow = 0.05 * augmentation._lattice() * np.array([1, 0, -1]).reshape(3, 1, 1, 1)
    warp = integrate(flow)
    factors = np.exp([0.05, 0, -0.05])
    np.testing.assert_allclose(warp(POINTS), POINTS * factors, atol=0.05)
    assert warp.jacobian == pytest.approx((1, 1), abs=0.03)  # its border is clamped


def test_a_flow_that_would_fold_is_calmed(monkeypatch):
    monkeypatch.setattr(augmentation, "FLOW", 25.0)
    wild = integrate(augmentation._velocity(np.random.default_rng(2)))
    assert wild.jacobian[1] > MAX_CHANGE
    calm = random_warp(np.random.default_rng(2))
    assert 1 / MAX_CHANGE <= calm.jacobian[0] <= calm.jacobian[1] <= MAX_CHANGE
    assert STEP < augmentation.SMOOTHING / 2  # the lattice resolves the flow


def test_crops_are_those_of_phantoms():
    whole = phantom_skull(4100, 5, SHAPE_16)
    heights = landmarks(np.zeros(MODES))[:2]
    lowest = []
    for quality in (2, 3, 4):
        part = crop(whole, GRID, quality, heights, np.random.default_rng(0))
        assert part.any() and (part <= whole).all() and part.sum() < whole.sum()
        lowest.append(np.flatnonzero(part.any(axis=(0, 1)))[0])
    assert lowest[0] >= lowest[1] >= lowest[2]


def test_a_skull_is_cropped_to_what_it_shows():
    assert shown_scores(5, "cap whole, …") == [2, 3, 4, 5]
    assert shown_scores(4, "cap whole, …") == [2, 3, 4]
    assert shown_scores(4, "cap cut, …") == [4]
    assert shown_scores(2, "") == [2]
    assert shown_scores(6, "cap missing") == [6]


@pytest.fixture
def data(tmp_path):
    rows = []
    for name, split, quality in (
        ("a", "train", 5),
        ("b", "test", 5),
        ("c", "train", 2),
    ):
        bone = phantom_skull(len(rows), quality, SHAPE_16)
        write_volume(tmp_path / "volumes" / f"{name}.nii.gz", bone, GRID)
        file = f"volumes/{name}.nii.gz"
        rows.append(Skull(name, split, quality, file, f"scan of {name}", GRID.spacing))
    record = {"stamp": "s", REASON: "cap whole", SHAPE: [0.0] * MODES}
    return tmp_path, rows, dict.fromkeys("abc", record)


def test_variations_stand_on_their_parents_side(data):
    out, rows, records = data
    variations = augment(out, rows, records, 6, seed=3)
    assert len({skull.name for skull in variations}) == 6
    for skull in variations:
        parent = skull.source.removeprefix("derived from ").split(",")[0]
        assert skull.split == {r.name: r.split for r in rows}[parent] == "train"
        about = json.loads((out / skull.file.replace(".nii.gz", ".json")).read_text())
        low, high = about["jacobian"]
        assert 0 < low < high and f"{low:.2f} to {high:.2f} times" in skull.checks
    assert {skull.quality for skull in variations} == {2, 3, 4, 5}
    bone, grid = read_volume(out / variations[0].file)
    parent, _ = read_volume(out / "volumes" / "a.nii.gz")
    bone, parent = is_bone(bone), is_bone(parent)
    overlap = (bone & parent).sum() / parent.sum()
    assert grid == GRID and 0.3 < overlap < 0.99
    times = {p: p.stat().st_mtime_ns for p in (out / "volumes").iterdir()}
    assert augment(out, rows, records, 6, seed=3) == variations
    assert times == {p: p.stat().st_mtime_ns for p in (out / "volumes").iterdir()}


def test_without_a_scored_parent_there_is_nothing_to_derive(data):
    out, rows, records = data
    with pytest.raises(SkfmError, match="no skull of the training set has a score"):
        augment(out, rows[1:2], records, 1, seed=0)
    assert augment(out, rows[1:2], records, 0, seed=0) == []
