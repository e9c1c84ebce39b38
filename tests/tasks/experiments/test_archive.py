"""Archived experiments are found finished; what needs its network is trained again."""

import shutil
import zipfile

import pytest
from cloud_training import aligner

from skfm_lib.study import stage_names
from skfm_lib.tasks.apply_to_scan import tool_results
from skfm_lib.tasks.experiments import gather, learning_curve
from skfm_lib.tasks.experiments.archive import archive
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.errors import SkfmError

REAL = "100% real"
GRID = {"2 real": [0, 1], REAL: [0, 1]}


@pytest.fixture
def finished(study):
    """The study, with chapter 8's experiments, and their errors."""
    found, experiments = gather(study, [REAL]), aligner(study)
    errors = experiments.run(found, GRID)
    learning_curve.training_errors(experiments, found, GRID, "raw")
    stage = study.stage(stage_names.ALIGNMENT, {}, ("01_preprocess",))
    stage.finish(**tool_results(experiments, REAL, 0, "projected"))
    return study, found, errors


def test_an_archive_restores_all_but_the_network_of_the_tools(
    finished, tmp_path, monkeypatch
):
    study, found, errors = finished
    path, kept = tmp_path / "experiments.zip", study.folder / "08_experiments"
    assert archive(study, path) == 4 - 1 + 4  # errors on test and on training skulls
    first = path.read_bytes()
    assert archive(study, path) == 7 and path.read_bytes() == first
    shutil.rmtree(kept)
    with zipfile.ZipFile(path) as made:
        made.extractall(study.folder)
    trained, train = [], Trainer.batches

    def counted(self, label, pairs):
        trained.append(label)
        return train(self, label, pairs)

    monkeypatch.setattr(Trainer, "batches", counted)
    again = aligner(study)
    assert again.run(found, GRID).equals(errors)
    assert trained == [f"Aligner, {REAL}, seed 0"]
    again.network(REAL, 0)
    learning_curve.training_errors(again, found, GRID, "raw")  # without networks


def test_a_run_without_experiments_leaves_no_file(study, tmp_path):
    assert archive(study, tmp_path / "experiments.zip") == 0
    assert not any(tmp_path.glob("*.zip"))


def test_a_set_without_its_point_of_the_curve_waits(finished, tmp_path):
    study, found, _ = finished
    before = archive(study, tmp_path / "one.zip")
    aligner(study).run(found, {REAL: [2]})
    assert archive(study, tmp_path / "two.zip") == before
    aligner(study).run(found, {"blurred": [2]})  # whose network nobody needs
    assert archive(study, tmp_path / "three.zip") == before + 1


def test_what_a_run_lacks_is_not_lost(finished, tmp_path):
    study, _, _ = finished
    path = tmp_path / "experiments.zip"
    archive(study, path)
    shutil.rmtree(next((study.folder / "08_experiments").glob("2-real-1-*")))
    with pytest.raises(SkfmError, match="1 of its .* not in run 'grid'") as caught:
        archive(study, path)
    assert f"unzip -n {path} -d runs/grid" in str(caught.value)
    with zipfile.ZipFile(path) as kept:
        assert len(kept.namelist()) == 7
