"""Bad data sets are refused before a stage begins, and head CTs are found."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.io.sample_scan import CRANIOTOMY, CRANIUM, PLASTIC
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import read_manifest, write_manifest
from skfm_lib.study import data_stage, open_study
from skfm_lib.study.data_stage import (
    make_data_stage,
    real_head,
    real_heads,
    skulls,
    stamp_of,
)
from skfm_lib.utils.errors import SkfmError


@pytest.fixture
def data(phantoms, tmp_path):
    """A data set of six skulls for training, two for the test and one to choose by."""
    return Path(shutil.copytree(phantoms.folder, tmp_path / "ward7"))


def change(folder, values):
    """Replace the voxels of the first skull by `values` of them."""
    path = folder / read_manifest(folder)[0].file
    image = sitk.ReadImage(str(path))
    voxels = values(sitk.GetArrayFromImage(image).astype(np.float32))
    changed = sitk.GetImageFromArray(voxels)
    changed.CopyInformation(image)
    sitk.WriteImage(changed, str(path))


def test_a_data_set_becomes_the_first_stage(project, data):
    study = open_study("ward7", "tiny")
    stage = make_data_stage(study, str(data))
    assert stage.done and stage.results["made_from"] == "scans"
    numbers = [len(skulls(study, split)) for split in ("train", "test", "validation")]
    assert numbers == [6, 2, 1] and "held out" not in stage.settings
    assert data_stage.split_counts(study) == {
        "train": {2: 2, 4: 2, 5: 1, 6: 1},
        "test": {4: 1, 5: 1},
        "validation": {4: 1},
    }


def test_of_a_data_set_without_validation_a_part_of_train_is_held_out(
    project, data, capsys
):
    rows = [row for row in read_manifest(data) if row.split != "validation"]
    write_manifest(data, rows)
    study = open_study("ward7", "tiny")
    make_data_stage(study, str(data))
    said = "no validation split: 1 of 6 training skulls held out for choices\n"
    assert said in capsys.readouterr().out
    found = {
        split: {skull.name for skull in skulls(study, split).skulls}
        for split in ("train", "test", "validation")
    }
    assert found["test"] == {row.name for row in rows if row.split == "test"}
    assert len(found["train"]) == 5 and len(found["validation"]) == 1
    assert found["train"] | found["validation"] == {
        row.name for row in rows if row.split == "train"
    }
    assert read_manifest(data) == rows  # of the user's own, nothing is rewritten
    numbers = {k: sum(v.values()) for k, v in data_stage.split_counts(study).items()}
    assert numbers == {"train": 5, "test": 2, "validation": 1}


def test_a_run_of_former_times_without_validation_names_the_command(project, data):
    rows = [row for row in read_manifest(data) if row.split != "validation"]
    write_manifest(data, rows)
    study = open_study("ward7", "tiny")
    stage = study.stage("01_preprocess", {"data": str(data)})
    stage.finish(folder=str(data), made_from="scans")
    assert len(skulls(study, "train")) == 6  # as its networks were trained
    error = "run 'ward7' has no skulls for validation; expected skulls to choose by"
    with pytest.raises(SkfmError, match=f"{error}; next: skfm run 01 --run ward7"):
        skulls(study, "validation")
    with pytest.raises(SkfmError, match="no skull of split 'unlabelled'"):
        skulls(study, "unlabelled")


def test_too_few_training_skulls_to_hold_some_out_are_said(project, data):
    rows = [row for row in read_manifest(data) if row.split != "validation"]
    write_manifest(data, [*rows[:3], *(row for row in rows if row.split == "test")])
    study = open_study("ward7", "tiny")
    make_data_stage(study, str(data))
    assert len(skulls(study, "train")) == 3
    with pytest.raises(SkfmError, match="set the column split of some rows to val"):
        skulls(study, "validation")


def test_a_run_keeps_its_data_set_where_none_is_named(project, data, capsys):
    study = open_study("ward7", "tiny")
    stage = make_data_stage(study, str(data))
    assert make_data_stage(study).fingerprint == stage.fingerprint
    assert f"the data set of this run: {data}" in capsys.readouterr().out


@pytest.mark.parametrize("kind", ["row", "voxel"])
def test_a_data_set_that_has_changed_is_refused(project, data, kind):
    study = open_study("ward7", "tiny")
    former = make_data_stage(study, str(data)).fingerprint
    if kind == "row":
        rows = read_manifest(data)
        write_manifest(data, [*rows[:-2], rows[-1]])  # without one of the test
    else:
        change(data, lambda voxels: voxels[::-1])
    error = "has changed since run 'ward7' was made from it.*next: skfm run 01 --run"
    with pytest.raises(SkfmError, match=error):
        skulls(study, "train")
    assert make_data_stage(study, str(data)).fingerprint != former
    assert len(skulls(study, "train")) == 6


def with_nan(voxels):
    voxels.flat[0] = np.nan
    return voxels


@pytest.mark.parametrize(
    ("values", "error"),
    [
        (with_nan, "1 voxels are NaN or infinite"),
        (np.zeros_like, "holds no bone; expected a skull; next: remove its row"),
    ],
)
def test_bad_volumes_are_named_and_begin_nothing(project, data, values, error):
    change(data, values)
    with pytest.raises(SkfmError, match=error):
        make_data_stage(open_study("ward7", "tiny"), str(data))
    assert not (project / "runs").exists()


def test_volumes_of_another_preset_are_refused(project, data):
    with pytest.raises(SkfmError, match="as preset quick has; next: skfm prepare"):
        make_data_stage(open_study("ward7", "quick"), str(data))
    assert not (project / "runs").exists()


def test_bits_in_one_split_and_fractions_in_another_are_refused(project, data):
    for skull in read_manifest(data):
        if skull.split == "test":
            volume, grid = read_volume(data / skull.file)
            write_volume(data / skull.file, is_bone(volume), grid)
    error = "as bits; expected fractions, as .*; next: skfm prepare"
    with pytest.raises(SkfmError, match=error):
        make_data_stage(open_study("ward7", "tiny"), str(data))
    assert not (project / "runs").exists()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_data_set_has_skulls_of_both_splits(project, data, split):
    rows = [row for row in read_manifest(data) if row.split != split]
    write_manifest(data, rows)
    error = f"no skull of split '{split}'; expected skulls of train and test"
    with pytest.raises(SkfmError, match=error):
        make_data_stage(open_study("ward7", "tiny"), str(data))
    assert not (project / "runs").exists()


def test_heads_come_from_the_parameter_the_environment_or_the_cache(
    project, monkeypatch
):
    cache, mine, given = (project / name for name in ("cache", "mine", "given"))
    monkeypatch.setattr(data_stage, "CACHE", cache)
    monkeypatch.delenv("SKFM_HEADS", raising=False)
    with pytest.raises(SkfmError, match="expected a head CT; next: skfm sample"):
        real_heads()
    for folder in (cache, mine, given):
        folder.mkdir()
    with pytest.raises(SkfmError, match="cache holds no sample"):
        real_heads()
    (cache / CRANIOTOMY.target).touch()
    assert (real_heads(), real_head()) == (cache, cache / CRANIOTOMY.target)
    (cache / PLASTIC.target).mkdir()
    (cache / CRANIUM.target).touch()
    assert (real_heads(), real_head()) == (cache, cache / CRANIUM.target)
    monkeypatch.setenv("SKFM_HEADS", str(mine))
    assert real_heads() == real_head() == mine
    for name in ("b.nii.gz", "a.nrrd", "notes.txt"):
        (mine / name).touch()
    assert real_head() == mine / "a.nrrd"
    (mine / "cranium_ct.nii.gz").touch()
    assert real_head() == mine / "cranium_ct.nii.gz"
    assert real_heads("given") == given  # relative to the project
    with pytest.raises(SkfmError, match="elsewhere does not exist"):
        real_heads("elsewhere")


def test_the_stamp_of_heads_changes_with_their_files(tmp_path):
    (tmp_path / "plastic").mkdir()
    stamps = [stamp_of(tmp_path)]
    for content in ("a", "ab"):
        (tmp_path / "plastic" / "I10").write_text(content)
        stamps += [stamp_of(tmp_path), stamp_of(tmp_path / "plastic" / "I10")]
    assert len(set(stamps)) == 3 and stamp_of(tmp_path) == stamps[3]
