"""Bad data sets are refused before a stage begins, and head CTs are found."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from skfm_lib.data.manifest import read_manifest, write_manifest
from skfm_lib.study import data_stage, open_study
from skfm_lib.study.data_stage import make_data_stage, real_head, real_heads, skulls
from skfm_lib.utils.errors import SkfmError


@pytest.fixture
def data(phantoms, tmp_path):
    """A data set of six skulls for training and two for the test."""
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
    assert (len(skulls(study, "train")), len(skulls(study, "test"))) == (6, 2)


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
    (cache / data_stage.NAME).touch()
    assert real_heads() == real_head() == cache / data_stage.NAME
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
