"""A small study whose networks on point clouds can be trained in seconds."""

import shutil
from dataclasses import replace

import pytest

from skfm_lib.data.manifest import write_manifest
from skfm_lib.study import open_study


@pytest.fixture
def study(project, phantoms):
    """A study with four skulls to train and two to test; stages 01 and 03 are done."""
    made = open_study("grid", "tiny")
    stage = made.stage("01_preprocess", {})
    shutil.copytree(phantoms.folder / "volumes", stage.folder / "skulls" / "volumes")
    split = dict(zip((s.name for s in phantoms.skulls), 2 * ["train", "test", "train"]))
    rows = [replace(skull, split=split[skull.name]) for skull in phantoms.skulls]
    write_manifest(stage.folder / "skulls", rows)
    stage.finish(folder="skulls", made_from="phantoms")
    made.stage("03_train_otfm", {}, ("01_preprocess",)).finish()
    return made
