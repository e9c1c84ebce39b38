"""A study on disk: stages that resume, are skipped, set aside and brought back."""

import json
import shutil

import pytest

from skfm_lib.metrics import Interval
from skfm_lib.study import open_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing, write_json
from skfm_lib.utils.paths import project_root


@pytest.fixture
def study(project):
    return open_study("trial", "tiny", 3)


def test_a_study_lies_in_the_project_above_the_working_directory(project, monkeypatch):
    (project / "notebooks" / "deep").mkdir()
    monkeypatch.chdir(project / "notebooks" / "deep")
    assert project_root() == project
    study = open_study(None, "tiny")
    assert study.folder == project / "runs" / "tiny" and study.name == "tiny"
    assert open_study(None, "tiny", 4).folder == project / "runs" / "tiny-seed4"


def test_a_run_begins_with_its_first_stage(study):
    assert not study.folder.exists()
    study.stage("01_preprocess", {})
    assert (study.folder / "run.json").is_file()


@pytest.mark.parametrize("name", ["../other", "a/b", ".."])
def test_a_run_is_a_folder_below_runs(project, name):
    with pytest.raises(SkfmError, match="without slashes"):
        open_study(name, "tiny")


def test_the_record_says_what_made_it(study):
    study.stage("01_preprocess", {})
    record = read_json(study.folder / "run.json")
    assert (record["preset"], record["seed"]) == ("tiny", 3)
    assert {"device", "packages", "commit", "time"} <= set(record)


def test_a_run_keeps_its_preset_and_seed(study):
    study.stage("01_preprocess", {})
    assert open_study("trial", "tiny", 3) == study
    for preset, seed in (("quick", 3), ("tiny", 4)):
        with pytest.raises(SkfmError, match="'trial' has preset tiny and seed 3"):
            open_study("trial", preset, seed)
    with pytest.raises(SkfmError, match="unknown preset"):
        open_study("other", "huge")
    assert not (study.folder.parent / "other").exists()


def test_fingerprints_tell_settings_seeds_and_inputs_apart(study):
    first = study.stage("01_preprocess", {"a": 1, "b": (2, 3)})
    first.finish()
    other = open_study("other", "tiny", 4).stage("01_preprocess", {"a": 1, "b": (2, 3)})
    second = study.stage("02_train_vqvae", {"a": 1, "b": (2, 3)}, ("01_preprocess",))
    third = study.stage("03_train_otfm", {"a": 1, "b": (2, 4)})
    prints = [s.fingerprint for s in (first, other, second, third)]
    assert len(set(prints)) == 4
    assert study.finished("01_preprocess").fingerprint == first.fingerprint
    again = study.stage("01_preprocess", {"b": [2, 3], "a": 1})
    assert again.fingerprint == first.fingerprint


def test_a_finished_stage_is_kept(study, capsys):
    stage = study.stage("01_preprocess", {"a": 1})
    assert not stage.done
    stage.finish(skulls=7)
    before = (stage.folder / "done.json").read_bytes()
    again = study.stage("01_preprocess", {"a": 1})
    assert again.done and again.results == {"skulls": 7}
    assert "is finished: kept" in capsys.readouterr().out
    again.finish(skulls=8)
    assert (stage.folder / "done.json").read_bytes() == before


def test_an_interrupted_stage_keeps_its_files(study):
    stage = study.stage("01_preprocess", {"a": 1})
    (stage.folder / "half").touch()
    again = study.stage("01_preprocess", {"a": 1})
    assert not again.done and (again.folder / "half").exists()


def test_other_settings_set_a_stage_aside_and_the_former_bring_it_back(study, capsys):
    first = study.stage("01_preprocess", {"a": 1, "b": 2})
    (first.folder / "work").write_text("of a=1")
    first.finish(value=1)
    capsys.readouterr()
    second = study.stage("01_preprocess", {"a": 9, "b": 2})
    said = capsys.readouterr().out
    assert "starts anew (a 1 → 9)" in said and first.fingerprint in said
    assert not second.done and not (second.folder / "work").exists()
    second.finish(value=9)
    back = study.stage("01_preprocess", {"a": 1, "b": 2})
    assert back.done and back.results == {"value": 1}
    assert (back.folder / "work").read_text() == "of a=1"
    forth = study.stage("01_preprocess", {"a": 9, "b": 2})
    assert forth.done and forth.results == {"value": 9}


def test_a_stage_whose_input_changed_starts_anew(study, capsys):
    study.stage("01_preprocess", {"a": 1}).finish()
    study.stage("02_train_vqvae", {"c": 1}, ("01_preprocess",)).finish()
    study.stage("01_preprocess", {"a": 2}).finish()
    second = study.stage("02_train_vqvae", {"c": 1}, ("01_preprocess",))
    said = capsys.readouterr().out
    assert not second.done and "starts anew (another 01_preprocess)" in said


def test_what_was_made_from_other_inputs_is_stale_all_the_way_down(study):
    study.stage("01_preprocess", {"data": "phantoms"}).finish()
    study.stage("02_train_vqvae", {}, ("01_preprocess",)).finish()
    study.stage("03_train_otfm", {}, ("02_train_vqvae",)).finish()
    assert study.finished("03_train_otfm").done
    study.stage("01_preprocess", {"data": "ward7"}).finish()
    stale = "02_train_vqvae is stale, made from another 01_preprocess"
    for name, chapters in (("02_train_vqvae", "02"), ("03_train_otfm", "02 03")):
        command = f"skfm run {chapters} --run trial --preset tiny --seed 3"
        with pytest.raises(SkfmError, match=f"{stale}.*{command}"):
            study.finished(name)
        with pytest.raises(SkfmError, match=stale):
            study.stage("05_generate", {}, (name,))
    assert not (study.folder / "05_generate").exists()
    study.stage("02_train_vqvae", {}, ("01_preprocess",)).finish()
    with pytest.raises(SkfmError, match="03_train_otfm is stale.*skfm run 03"):
        study.finished("03_train_otfm")
    study.stage("01_preprocess", {"data": "phantoms"}).finish()  # the former comes back
    study.stage("02_train_vqvae", {}, ("01_preprocess",)).finish()
    assert study.finished("03_train_otfm").done


def test_intervals_are_kept_by_the_names_of_their_ends(study):
    stage = study.stage("01_preprocess", {})
    stage.finish(row={"FID": Interval(2.0, 1.0, 3.0)}, several=[Interval(1, 1, 1)])
    kept = {"value": 2.0, "low": 1.0, "high": 3.0}
    assert stage.results["row"] == {"FID": kept}
    assert stage.results["several"] == [dict.fromkeys(kept, 1)]


def test_a_missing_input_names_the_command_that_makes_it(study):
    command = "skfm run 01 02 --run trial --preset tiny"
    with pytest.raises(SkfmError, match=f"no finished 02_train_vqvae.*{command}"):
        study.stage("03_train_otfm", {}, after=("02_train_vqvae",))
    assert not (study.folder / "03_train_otfm").exists()
    study.stage("02_train_vqvae", {})  # begun, not finished
    with pytest.raises(SkfmError, match=command):
        study.finished("02_train_vqvae")


def test_the_command_for_a_missing_input_is_accepted(study):
    with pytest.raises(SkfmError, match="--seed 3"):
        study.finished("02_train_vqvae")


def test_damaged_records_are_reported(study):
    stage = study.stage("01_preprocess", {})
    (stage.folder / "stage.json").write_text('{"settings": ')
    with pytest.raises(SkfmError, match="stage.json.*remove it"):
        study.stage("01_preprocess", {})


def test_files_are_whole_or_as_before(tmp_path):
    path = tmp_path / "deep" / "record.json"
    write_json(path, {"a": 1})
    with pytest.raises(ZeroDivisionError):
        with replacing(path) as temporary:
            temporary.write_text("half")
            assert json.loads(path.read_text()) == {"a": 1}
            raise ZeroDivisionError
    assert json.loads(path.read_text()) == {"a": 1}
    assert [p.name for p in path.parent.iterdir()] == ["record.json"]
    with replacing(path) as temporary:
        temporary.write_text("{}")
    assert json.loads(path.read_text()) == {}


def test_a_folder_that_cannot_be_written_is_reported(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(SkfmError, match="could not be written"):
        write_json(tmp_path / "file" / "record.json", {})


def test_a_moved_run_goes_on(study):
    study.stage("01_preprocess", {}).finish(n=1)
    shutil.move(study.folder, study.folder.with_name("renamed"))
    assert open_study("renamed", "tiny", 3).stage("01_preprocess", {}).done


def record(study, name, **parameters):
    """Leave a chapter's record, as papermill does."""
    content = {"cells": [], "metadata": {"papermill": {"parameters": parameters}}}
    write_json(study.folder / "notebooks" / f"{name}.ipynb", content)


def test_one_command_makes_all_that_is_lacking_with_the_former_parameters(study):
    study.stage("01_preprocess", {}).finish()
    study.stage("02_train_vqvae", {"a": 1}, ("01_preprocess",)).finish()
    for name in ("03_train_otfm", "04_train_ddpm"):
        study.stage(name, {}, ("02_train_vqvae",)).finish()
    record(study, "03_train_otfm", preset="tiny", run="trial", steps=7, batch=None)
    record(study, "04_train_ddpm", seed=3, normalise="per channel")
    study.stage("02_train_vqvae", {"a": 2}, ("01_preprocess",)).finish()
    common = "--run trial --preset tiny --seed 3"
    with pytest.raises(SkfmError) as error:
        study.stage("05_generate", {}, ("03_train_otfm", "04_train_ddpm"))
    assert str(error.value).endswith(
        f"next: skfm run 03 {common} -p steps 7 && "
        f"skfm run 04 {common} -p normalise 'per channel'"
    )
    assert not study.is_finished("03_train_otfm")
    assert study.is_finished("02_train_vqvae")
    with pytest.raises(SkfmError, match="skfm run 03 .* && skfm run 04 .* && .* 13 "):
        study.finished("13_train_shortcut")  # its chapter also compares with DDPM


def test_two_stages_of_one_chapter_are_made_by_its_parameter(study):
    study.stage("01_preprocess", {}).finish()
    study.stage("02_train_vqvae", {}, ("01_preprocess",)).finish()
    # The record is that of whichever was made last.
    record(study, "04_train_ddpm", run="trial", prediction="v", steps=7)
    common = "skfm run 04 --run trial --preset tiny --seed 3"
    for name, words in (("04_train_ddpm", ""), ("04_train_ddpm_v", " -p prediction v")):
        with pytest.raises(SkfmError) as error:
            study.finished(name)
        assert str(error.value).endswith(f"next: {common} -p steps 7{words}")
    both = f"{common} -p steps 7 && {common} -p steps 7 -p prediction v"
    with pytest.raises(SkfmError) as error:
        study.stage("05_generate", {}, ("04_train_ddpm", "04_train_ddpm_v"))
    assert str(error.value).endswith(both)


@pytest.mark.parametrize("content", ["{}", "[]", '{"settings": {}}', "{"])
def test_a_record_without_its_keys_is_damaged(study, content):
    study.stage("01_preprocess", {}).finish()
    (study.folder / "01_preprocess" / "done.json").write_text(content)
    with pytest.raises(SkfmError, match="done.json: .*expected a JSON record"):
        study.finished("01_preprocess")
