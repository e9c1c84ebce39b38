"""The grid: experiments are kept, resumed, kept apart; synthetic skulls grow."""

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from cloud_training import CPU, aligner, save_every_step

from skfm_lib import generation
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull, write_manifest
from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.generation import Outcome
from skfm_lib.study import open_study
from skfm_lib.tasks.experiments import (
    COMPLETION,
    Experiments,
    altered_clouds,
    gather,
    learning_curve,
    runs,
    skull_pool,
    training_sets,
)
from skfm_lib.tasks.experiments.runs import averaged
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.errors import SkfmError

REAL, MIXED = "100% real", "100% real + 25% OTFM"


@pytest.fixture
def generator(monkeypatch, phantoms):
    """A generator that "draws" one of the phantoms, every third time nothing."""
    bone, grid_of = read_volume(phantoms.folder / phantoms.skulls[0].file)
    drawn = []

    def generate(_, folder, qualities, seed, sampler, batch):
        rows = []
        for i, quality in enumerate(qualities):
            file = f"volumes/otfm-qs{quality}-{i:04d}.nii.gz"
            rows.append(Skull(file[8:-7], "train", quality, file, "", 8.0))
            if not (folder / file).is_file():
                drawn.append(file)
                write_volume(folder / file, bone * (i % 3 < 2), grid_of)
        write_manifest(folder, rows)

    monkeypatch.setattr(generation, "load_generator", lambda study, model: None)
    monkeypatch.setattr(generation, "generate_skulls", generate)
    return drawn


def test_experiments_are_trained_once_and_tried_on_one_test(study, monkeypatch):
    found = gather(study, [REAL])
    assert found.synthetic == ({},) and len(found.train) == 4 and len(found.test) == 2
    experiments = aligner(study)
    table = experiments.run(found, {REAL: [0, 1], "50% real": [0, 1]})
    assert len(table) == 8 and set(table["set"]) == {REAL, "50% real"}
    assert table.groupby("name")["unaligned"].nunique().eq(1).all()  # the same poses
    assert table["raw"].nunique() == 8
    stage = experiments.stage(REAL, 1)
    assert stage.folder.parent.name == "08_experiments" and stage.results["skulls"] == 4
    assert not (stage.folder / "checkpoint.pt").exists()
    assert len(experiments.history(REAL, 1)["loss"]) == 3
    monkeypatch.setattr(Trainer, "descend", None)  # nothing is trained again
    again = aligner(study).run(found, {"50% real": [1], REAL: [1]})
    assert again[again["set"] == REAL]["raw"].tolist() == (
        table[(table["set"] == REAL) & (table["seed"] == 1)]["raw"].tolist()
    )
    model = experiments.network(REAL, 1)
    with torch.no_grad():
        aligned = model(found.test.first(256))[0]
    assert aligned.shape == (2, 256, 3)


def test_sets_may_have_seeds_of_their_own(study):
    found, half = gather(study, [REAL]), "50% real"
    table = aligner(study).run(found, {REAL: [0, 1, 2, 1], half: [1]})
    assert not table.duplicated(["set", "seed", "name"]).any()  # a seed given twice
    pairs = table[["set", "seed"]].drop_duplicates().itertuples(index=False)
    assert list(map(tuple, pairs)) == [(REAL, 0), (REAL, 1), (half, 1), (REAL, 2)]


def test_experiments_of_other_settings_lie_beside_each_other(study):
    folders = {
        aligner(study, **changes).stage(name, seed).folder
        for changes in ({}, {"steps": 4})
        for name in (REAL, MIXED)
        for seed in (0, 1)
    }
    assert len(folders) == 8 and all((f / "stage.json").is_file() for f in folders)
    with pytest.raises(SkfmError, match="no training set '75% real'"):
        aligner(study).stage("75% real", 0)


def test_a_stopped_experiment_goes_on(study, monkeypatch):
    found, descend = gather(study, [REAL]), Trainer.descend
    whole = aligner(study).run(found, {REAL: [0]})
    shutil.rmtree(study.folder / "08_experiments")

    def stopped(self, loss, **record):
        if self.step == 2:
            raise KeyboardInterrupt
        descend(self, loss, **record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "descend", stopped)
        save_every_step(patch)
        aligner(study).run(found, {REAL: [0]})
    assert (aligner(study).stage(REAL, 0).folder / "checkpoint.pt").is_file()
    assert aligner(study).run(found, {REAL: [0]}).equals(whole)


def test_a_learning_curve_has_equal_steps_and_is_computed_once(study, monkeypatch):
    grid, found = {"2 real": [0, 1], REAL: [0, 1]}, gather(study, [REAL])
    experiments = aligner(study, steps=4)
    table = experiments.run(found, grid)
    seen = learning_curve.training_errors(experiments, found, grid, "raw")
    for name, skulls in (("2 real", 2), (REAL, 4)):
        for seed in (0, 1):
            assert len(experiments.history(name, seed)["loss"]) == 4  # steps
            own = seen[(seen["set"] == name) & (seen["seed"] == seed)]
            assert set(own["name"]) <= set(found.training(name, seed).names)
            assert set(own["skulls"]) == {skulls} and own["name"].nunique() == 2
    rows = learning_curve.curve(table, seen, experiments.settings, "raw")
    assert [row["passes"] for row in rows.values()] == [4, 2]  # 4 steps of 2 clouds
    monkeypatch.setattr(Trainer, "descend", None)
    monkeypatch.setattr(CloudSet, "subset", None)
    again = aligner(study, steps=4)
    assert learning_curve.training_errors(again, found, grid, "raw").equals(seen)
    assert again.run(found, grid).equals(table)
    nothing = learning_curve.training_errors(again, found, {REAL: [0]}, "raw")
    assert learning_curve.curve(table, nothing, again.settings, "raw") == {}


def test_completers_have_a_learning_curve_too(study):
    grid, found = {"2 real": [0, 1], REAL: [0, 1]}, gather(study, [REAL])
    settings = study.settings.completer.but(steps=1, batch=2)
    experiments = Experiments(study, COMPLETION, settings, CPU)
    table = learning_curve.own_way(experiments.run(found, grid), "completer")
    seen = learning_curve.training_errors(experiments, found, grid, "cd")
    assert set(seen["way"]) == {"completer"} and len(seen) == 2 * 2 * 2
    rows = learning_curve.curve(table, seen, settings, "cd")
    assert [row["skulls"] for row in rows.values()] == [2, 4]


def test_a_base_of_real_skulls_is_part_of_the_settings(study):
    based = replace(aligner(study), base=2)
    every, few = (one.stage(REAL, 0) for one in (aligner(study), based))
    assert every.fingerprint != few.fingerprint and few.settings["base"] == 2
    same = (one.stage("all real", 0) for one in (aligner(study), based))
    assert len({stage.fingerprint for stage in same}) == 1
    found = gather(study, [REAL], base=2)
    assert len(found.training(REAL, 0)) == 2 and len(found.training("all real", 0)) == 4
    assert based.run(found, {REAL: [0]})["generator"].tolist() == [0, 0]


def test_controls_are_mirrored_blurred_and_repeated(study):
    found = gather(study, [REAL])
    whole, blurred = (found.training(name, 0) for name in (REAL, "blurred"))
    moved = blurred.points.float() - whole.points.float()
    assert moved.std() == pytest.approx(altered_clouds.BLUR, rel=0.02)
    assert blurred.names == whole.names and not torch.equal(
        found.training("blurred", 1).points, blurred.points
    )
    flipped = altered_clouds.mirror(whole, [True, False, False, True])
    signs = torch.tensor([-1.0, 1, 1])
    assert torch.equal(flipped.points[0], (whole.points[0].float() * signs).half())
    assert torch.equal(flipped.points[1:3], whole.points[1:3])
    volumes = found.volumes(whole.subset([2, 2, 0]))
    assert [s.name for s in volumes.skulls] == [whole.names[i] for i in (2, 2, 0)]


def test_skulls_that_failed_the_screening_are_found_once(study, generator):
    study.stage("04_train_ddpm", {}, ("01_preprocess",)).finish()
    with pytest.raises(SkfmError, match="no finished 07_failures"):
        gather(study, ["failed DDPM"])
    study.stage("07_failures", {}, ("01_preprocess",)).finish()
    with pytest.raises(SkfmError, match="without a screening.*skfm run 07"):
        gather(study, ["failed DDPM"])
    seen = []

    def screen(volume, quality):  # the first one passes
        seen.append(quality)
        return Outcome(("too small",) if len(seen) > 1 else ())

    found = gather(study, ["failed DDPM"], screening=lambda study: screen)
    assert len(found.synthetic[0]["ddpm failed"]) == len(seen) - 1 > 0
    count = len(seen)
    again = gather(study, ["failed DDPM"], screening=lambda study: screen)
    assert again.synthetic[0]["ddpm failed"] == found.synthetic[0]["ddpm failed"]
    assert len(seen) == count
    assert skull_pool.stages_of(["failed DDPM"])[1:] == ("04_train_ddpm", "07_failures")


def test_generators_of_other_runs_are_used_in_turn(study, generator):
    other = open_study("grid-seed1", "tiny", 1)
    other.stage("01_preprocess", {"data": "others"}).finish()
    other.stage("03_train_otfm", {}, ("01_preprocess",)).finish()
    names = ["grid-seed1"]
    found = gather(study, [MIXED], generators=names)
    own, others = (found.training(MIXED, seed).names[-1] for seed in (0, 1))
    assert others == f"grid-seed1/{own}" and found.training(MIXED, 2).names[-1] == own
    experiments = replace(aligner(study), generators=names)
    table = experiments.run(found, {MIXED: [0, 1, 2]})
    turns = table.groupby("seed")["generator"].first()
    assert turns.to_list() == [0, 1, 0]
    first, second = (experiments.stage(MIXED, seed).settings for seed in (0, 1))
    assert "generator" not in first and second["generator"][0] == "grid-seed1"
    assert "generator" not in experiments.stage(REAL, 1).settings
    for wrong in ("grid", "none"):
        with pytest.raises(
            SkfmError, match="another run of preset tiny|there is no run"
        ):
            gather(study, [MIXED], generators=[wrong])


def test_synthetic_skulls_are_made_on_demand_and_fragments_left_out(study, generator):
    small = gather(study, [MIXED])
    assert len(generator) == 1  # a quarter of four skulls
    large = gather(study, ["100% OTFM", MIXED])
    assert len(generator) == 4 and len(large.synthetic[0]["otfm"]) == 4
    assert small.synthetic[0]["otfm"][0] in large.synthetic[0]["otfm"]
    again = gather(study, [MIXED])
    assert len(generator) == 4  # they stay, though fewer are asked for
    trained = again.training(MIXED, 0)
    assert len(trained) == 5 and trained.names[-1].startswith("otfm")
    test = set(large.test.names)
    assert not test & set(large.train.names)


def test_an_empty_skull_is_left_out_of_the_clouds(study, generator, monkeypatch):
    monkeypatch.setattr(
        training_sets, "needed", lambda names, counts, base: {"otfm": {2: 6}}
    )
    found = gather(study, [MIXED])
    assert len(found.synthetic[0]["otfm"]) == 6
    made = [name for name in found.train.names if name.startswith("otfm")]
    assert made == [f"otfm-qs2-{i:04d}" for i in (0, 1, 3, 4)]
    assert len(gather(study, [MIXED]).train) == 8  # and the second time, too


def test_a_model_that_is_missing_is_named(study):
    with pytest.raises(SkfmError, match="no finished 04_train_ddpm.*skfm run 02 04"):
        gather(study, ["100% DDPM"])


def test_completers_are_tried_on_the_same_defects(study):
    settings = study.settings.completer.but(steps=2, batch=2)
    experiments = Experiments(study, COMPLETION, settings, CPU)
    table = experiments.run(gather(study, [REAL]), {REAL: [0, 1]})
    assert len(table) == 2 * 2 * 3 and set(table["way"]) == {
        "completer", "mirror", "floor"
    }  # fmt: skip
    fixed = table[table["way"] != "completer"]
    assert fixed.groupby(["name", "way"])["cd"].nunique().eq(1).all()
    assert (study.folder / "09_experiments").is_dir()


def test_a_thinned_history_keeps_its_means():
    values = np.random.default_rng(0).random(1000).tolist()
    short = averaged(values)
    assert len(short) == runs.RECORDED and np.mean(short) == pytest.approx(
        np.mean(values)
    )
    assert averaged(values[:7]) == values[:7]
