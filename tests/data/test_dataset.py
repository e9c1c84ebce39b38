"""The phantom population on disk, and data sets for the networks."""

import numpy as np
import pytest
import torch

from skfm_lib.data import dataset, phantom_set
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull, write_manifest
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

SHAPE = scaled_shape(1 / 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantoms")
    phantom_skulls(path, SHAPE, {2: 2, 6: 1}, {3: 1}, seed=7, workers=1)
    return path


def test_items_are_in_the_networks_range(folder):
    items = SkullSet(folder, "train").load()
    assert len(items) == 3 and items.qualities == [2, 2, 6]
    v, quality = items[2]
    assert v.shape == (1, *SHAPE) and v.dtype == torch.float32 and quality == 6
    assert set(v.unique().tolist()) == {-1.0, 1.0}
    bone, grid = read_volume(folder / items.skulls[2].file)
    assert np.array_equal(v[0].numpy() > 0, bone)
    assert grid == items.grid == skull_grid(SHAPE)


def test_items_may_be_changed_without_changing_the_set(folder):
    items = SkullSet(folder, "test")
    before = items[0][0].clone()
    items[0][0].zero_()
    assert torch.equal(items[0][0], before)


def test_large_sets_are_read_each_time(folder, monkeypatch):
    kept = SkullSet(folder, "train")[1][0]
    monkeypatch.setattr(dataset, "MEMORY", 0)
    assert torch.equal(SkullSet(folder, "train").load()[1][0], kept)


def test_every_skull_is_the_same_however_many_are_made(folder, tmp_path):
    phantom_skulls(tmp_path, SHAPE, {2: 1, 5: 1}, {}, seed=7, workers=1)
    name = "volumes/phantom-train-qs2-0000.nii.gz"
    assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    seeds = {s.source for s in SkullSet(folder, "train").skulls}
    assert len(seeds) == 3


def test_processes_make_what_one_makes_and_an_interrupted_run_goes_on(
    folder, tmp_path, monkeypatch
):
    made = []

    def failing(job):
        if made:
            raise KeyboardInterrupt
        made.append(make(job))

    make = phantom_set.make_skull
    monkeypatch.setattr(phantom_set, "make_skull", failing)
    with pytest.raises(KeyboardInterrupt):
        phantom_skulls(tmp_path, SHAPE, {2: 2, 6: 1}, {3: 1}, seed=7, workers=1)
    monkeypatch.undo()
    (first,) = (tmp_path / "volumes").iterdir()
    before = first.stat().st_mtime_ns
    phantom_skulls(tmp_path, SHAPE, {2: 2, 6: 1}, {3: 1}, seed=7, workers=2)
    assert first.stat().st_mtime_ns == before
    for skull in SkullSet(folder, "train").skulls:
        a, b = (read_volume(root / skull.file)[0] for root in (folder, tmp_path))
        assert np.array_equal(a, b)


def test_another_population_does_not_mix_in(folder):
    with pytest.raises(SkfmError, match="seed is 7 there, 8 asked"):
        phantom_skulls(folder, SHAPE, {2: 1}, {}, seed=8, workers=1)


def test_an_empty_split_is_said(folder):
    with pytest.raises(SkfmError, match="no skull of split 'unlabelled'"):
        SkullSet(folder, "unlabelled")


def test_unlabelled_scans_have_quality_0_and_shapes_must_agree(tmp_path):
    for name, shape in (("a", (8, 7, 9)), ("b", (8, 7, 8))):
        bone = np.arange(np.prod(shape)).reshape(shape) % 3 == 0
        write_volume(tmp_path / f"{name}.nii.gz", bone, skull_grid(shape))
    rows = [Skull(n, "unlabelled", None, f"{n}.nii.gz", n, 1.0) for n in "ab"]
    write_manifest(tmp_path, rows)
    items = SkullSet(tmp_path, "unlabelled")
    assert items[0][1] == 0
    with pytest.raises(SkfmError, match=r"b.nii.gz: \(8, 7, 8\) voxels"):
        items[1]
