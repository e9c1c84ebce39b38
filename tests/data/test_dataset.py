"""The phantom population on disk, and data sets for the networks."""

from unittest.mock import Mock

import numpy as np
import pytest
import torch

from skfm_lib.data import dataset, phantom_set
from skfm_lib.data.bone_fractions import is_bone, network_values
from skfm_lib.data.dataset import SkullSet, unpacked
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull, read_manifest, write_manifest
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils import memory
from skfm_lib.utils.device import planned
from skfm_lib.utils.errors import SkfmError

SHAPE = scaled_shape(1 / 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("phantoms")
    phantom_skulls(path, SHAPE, {2: 2, 6: 1}, {3: 1}, seed=7, workers=1)
    return path


@pytest.fixture(scope="module")
def fractions(folder):
    return folder


@pytest.fixture(scope="module")
def bits(folder, tmp_path_factory):
    """The same skulls as on a fine grid, by bits."""
    path = tmp_path_factory.mktemp("bits")
    for skull in read_manifest(folder):
        volume, grid = read_volume(folder / skull.file)
        write_volume(path / skull.file, is_bone(volume), grid)
    write_manifest(path, read_manifest(folder))
    return path


def test_items_are_in_the_networks_range(folder):
    items = SkullSet(folder, "train").load()
    assert len(items) == 3 and items.qualities == [2, 2, 6]
    v, quality = items[2]
    assert v.shape == (1, *SHAPE) and v.dtype == torch.float32 and quality == 6
    assert v.min() == -1 and v.max() == 1 and ((v > -1) & (v < 1)).any()
    volume, grid = read_volume(folder / items.skulls[2].file)
    assert torch.equal(v[0], network_values(torch.from_numpy(volume)))
    assert np.array_equal(items.volume(2), volume) and volume.dtype == np.uint8
    assert np.array_equal(items.occupancy(2), v[0].numpy() > 0)
    assert grid == items.grid == skull_grid(SHAPE)


def test_items_may_be_changed_without_changing_the_set(folder):
    items = SkullSet(folder, "test")
    before = items[0][0].clone()
    items[0][0].zero_()
    items.volume(0)[:] = 0
    assert torch.equal(items[0][0], before)


@pytest.mark.parametrize("room", [0, 1, 2])
def test_as_many_volumes_are_kept_as_fit_in_the_memory(folder, monkeypatch, room):
    first = SkullSet(folder, "train")
    kept, size = [first[i] for i in range(2)], int(np.prod(first.shape))
    monkeypatch.setattr(memory, "available", lambda: room * dataset.SHARE * size)
    monkeypatch.setattr(dataset, "read_volume", read := Mock(wraps=read_volume))
    items = SkullSet(folder, "train").load()
    for _ in range(3):
        assert torch.equal(items[0][0], kept[0][0])
        assert torch.equal(items[1][0], kept[1][0])
    # Once for the shape of the set; each other time for a skull that is not kept.
    assert read.call_count - 1 == min(room, 2) + 3 * (2 - min(room, 2))


@pytest.mark.parametrize(("kind", "smaller"), [("fractions", 4), ("bits", 30)])
def test_packed_volumes_are_those_of_the_items(kind, smaller, request):
    skulls = SkullSet(request.getfixturevalue(kind), "train")
    wanted = torch.stack([skulls[i][0] for i in (1, 0, 1)])
    packed = skulls.packed([1, 0, 1])
    assert packed.dtype == torch.uint8 and packed.nbytes <= wanted.nbytes / smaller
    assert torch.equal(unpacked(packed, skulls.shape), wanted)
    with planned(1 << 30):
        assert torch.equal(unpacked(packed, skulls.shape), wanted)


def test_bits_are_plus_and_minus_one_and_do_not_mix_with_fractions(bits, fractions):
    skulls = SkullSet(bits, "train")
    v, volume = skulls[0][0], skulls.volume(0)
    assert volume.dtype == bool and set(v.unique().tolist()) == {-1.0, 1.0}
    assert np.array_equal(v[0].numpy() > 0, skulls.occupancy(0))
    mixed = SkullSet(bits, "train")
    mixed.folder = fractions
    with pytest.raises(SkfmError, match=r"voxels of fractions; expected .* of bits"):
        mixed[0]


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
    with pytest.raises(SkfmError, match="seed is 7 there, 8 here"):
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
