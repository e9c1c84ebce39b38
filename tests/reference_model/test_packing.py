"""A study is packed: its files, what the index says, and who is refused."""

import pytest
from packed_model import TINY, networks

from skfm_lib.evaluation.screening.screener import Screener
from skfm_lib.reference_model import (
    load_generator,
    load_reference,
    load_screener,
    package,
    packing,
)
from skfm_lib.reference_model.package import Package, read_index
from skfm_lib.study import open_study, stage_names
from skfm_lib.tasks.apply_to_scan import ERROR, EXPERIMENT
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.utils.errors import SkfmError

COUNT = 5  # skulls that are generated


def finished(study, name, settings, weights, after=(), **results):
    """A finished stage with weights of untrained networks."""
    stage = study.stage(name, settings, after)
    for file in weights:
        save_weights(
            *networks()[file][:1],
            stage.folder / f"{file}.safetensors",
            networks()[file][1],
        )
    stage.finish(**results)


@pytest.fixture
def study(project, phantoms):
    made = open_study("mine", "tiny")
    data = {"folder": str(phantoms.folder), "made_from": "phantoms"}
    finished(made, stage_names.DATA, {}, [], **data)
    settings = {"vqvae": TINY.vqvae.but(steps=7).as_dict()}
    finished(made, stage_names.VQVAE, settings, ["vqvae"], [stage_names.DATA])
    settings = {"ours": TINY.ours.but(steps=9).as_dict()}
    files = ["denoiser", "linear_start"]
    finished(made, stage_names.OURS, settings, files, [stage_names.VQVAE])
    chosen = {"set": "100% real", "aligner": TINY.aligner.as_dict()}
    experiment = made.experiment("08_experiments", "100-real-0", chosen, ())
    save_weights(
        networks()["aligner"][0], experiment.folder / "aligner.safetensors", {}
    )
    experiment.finish(skulls=6)
    errors = {EXPERIMENT: experiment.name, ERROR: {"mean": 9.0, "95 % below": 14.0}}
    made.stage(stage_names.ALIGNMENT, {}).finish(**errors)
    return made


@pytest.fixture
def screened(packed_once, monkeypatch):
    """Six phantoms are too few to set limits: the screening is a packed model's."""
    other = Package(packed_once, read_index(packed_once))
    screener = load_screener(other)

    def screen(stage, steps):
        save_weights(
            screener.classifier,
            stage.folder / "score_classifier.safetensors",
            {"scores": [2, 3, 4, 5, 6]},
        )
        return screener

    monkeypatch.setattr(packing, "stage_screener", screen)
    network = load_reference(other).network
    monkeypatch.setattr(packing, "study_features", lambda *given: network)
    compared = []
    compare = Screener.compare

    def noted(self, skulls, measured):
        compared.append(len(skulls))
        return compare(self, skulls, measured)

    monkeypatch.setattr(Screener, "compare", noted)
    return compared


def test_a_study_is_packed_with_its_origin_and_its_screening(
    study, screened, tmp_path, capsys
):
    out = tmp_path / "out"
    said = packing.pack(study, out, COUNT)
    assert "MB  together" in said and "generated: " in said
    assert (
        "without the completer: 09_completion is not finished"
        in capsys.readouterr().out
    )
    index = read_index(out)
    assert index["preset"] == "tiny" and index["origin"]["run"] == "mine"
    assert index["origin"]["steps"] == {"vqvae": 7, "ours": 9}
    assert index["origin"]["skulls"] == 6 and "commit" in index["origin"]
    assert set(index["tools"]) == {"aligner"} and screened == [5, 2]
    assert index["screening"]["generated"]["skulls"] == 5
    assert index["screening"]["held out"]["skulls"] == 2
    names = {p.name for p in out.iterdir()} - {package.INDEX}
    assert set(index["files"]) == names and len(names) == 8
    assert index["distances"] == {}  # of so few skulls
    assert len(load_reference(Package(out, index))) == 2
    made = load_generator(Package(out, index))
    assert made.vqvae.settings == TINY.vqvae.but(steps=7)
    packing.pack(study, out, COUNT)  # what was drawn is kept
    assert read_index(out)["files"] == index["files"]


def test_an_interrupted_call_leaves_no_packed_model(
    study, screened, tmp_path, monkeypatch
):
    out = tmp_path / "out"
    packing.pack(study, out, COUNT)

    def stop(*given):
        raise KeyboardInterrupt

    monkeypatch.setattr(packing, "save_ranges", stop)
    with pytest.raises(KeyboardInterrupt):
        packing.pack(study, out, COUNT)
    assert not (out / package.INDEX).exists()


def test_a_study_of_scans_is_refused(project, tmp_path):
    made = open_study("ward", "tiny")
    made.stage(stage_names.DATA, {}).finish(folder="skulls", made_from="scans")
    with pytest.raises(SkfmError, match="trained on scans: .* coarse copies"):
        packing.pack(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_what_is_not_trained_is_named(project, tmp_path):
    made = open_study("young", "tiny")
    made.stage(stage_names.DATA, {}).finish(folder="skulls", made_from="phantoms")
    with pytest.raises(SkfmError, match="next: skfm run 02 --run young"):
        packing.pack(made, tmp_path / "out")
