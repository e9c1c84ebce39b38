"""`skfm train` in two processes: broken off, resumed, and found by the notebook."""

import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from skfm_lib.cli.main import main
from skfm_lib.presets import preset
from skfm_lib.study import Stage, open_study
from skfm_lib.study.data_stage import make_data_stage, skulls
from skfm_lib.training import multi_device
from skfm_lib.training.checkpoints import read_checkpoint
from skfm_lib.training.denoiser import DDPM, DDPM_V, OTFM, denoiser_stage
from skfm_lib.training.latents import cache_latents, load_latents
from skfm_lib.training.multi_device import pace, train_in_processes
from skfm_lib.training.vqvae import evaluate, train_vqvae, vqvae_stage
from skfm_lib.utils import distributed, subprocesses
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.values import parse as meaning

SCRIPT = str(Path(__file__).parents[1] / "helpers/break_off.py")
CHANGES = {"steps": 6, "codes": 64, "batch": 2}
WORDS = [w for name, value in CHANGES.items() for w in ("-p", name, str(value))]


@pytest.fixture(scope="module")
def project(tmp_path_factory, phantoms):
    """A project with the runs "whole" and "parts", on phantoms."""
    folder = tmp_path_factory.mktemp("project")
    (folder / "pyproject.toml").touch()
    (folder / "notebooks").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(torch, "get_num_threads", lambda: 2)
        for run in ("whole", "parts"):
            make_data_stage(open_study(run, "tiny"), str(phantoms.folder))
        yield folder


def train(run, kind="NONE", step=0):
    """The status of `skfm train 02` on two devices that breaks off at a step."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            subprocesses, "COMMAND", [sys.executable, SCRIPT, kind, str(step)]
        )
        return main(["train", "02", *of(run), "--devices", "2", *WORDS])


def of(run):
    return ["--run", run, "--preset", "tiny"]


def saved(run):
    stage = open_study(run, "tiny").folder / "02_train_vqvae"
    return read_checkpoint(stage / "checkpoint.pt")


@pytest.fixture(scope="module")
def whole(project):
    """The stage trained without a break, as its folder."""
    assert train("whole") == 0
    return project / "runs" / "whole" / "02_train_vqvae"


def test_a_trained_stage_is_kept_and_its_pace_told(whole, capsys, monkeypatch):
    monkeypatch.setattr(multi_device, "launch", None)
    before = (whole / "vqvae.safetensors").read_bytes()
    assert main(["train", "02", *of("whole"), "--devices", "2", *WORDS]) == 0
    line = "2 devices × batch 2 = 4 skulls a step, learning rate 0.003, on "
    assert f"{line}{pick_device()}" in capsys.readouterr().out.splitlines()
    assert (whole / "vqvae.safetensors").read_bytes() == before


def test_killed_and_warned_training_equals_an_uninterrupted_one(whole, capsys):
    assert train("parts", "KILL", 2) == 1
    line = capsys.readouterr().err.strip().splitlines()[-1]
    assert line.startswith("skfm: process ") and "of 2 ended with status -9" in line
    assert line.endswith(subprocesses.GO_ON)
    assert saved("parts")["step"] == 2
    assert train("parts", "USR1", 3) == 75
    line = capsys.readouterr().err.strip().splitlines()[-1]
    stopped = "VQ-VAE was stopped by a signal and saved after step 5 of 6"
    assert line == f"skfm: {stopped}; next: the same command resumes"
    assert saved("parts")["step"] == 5
    assert train("parts") == 0
    one, two = saved("whole"), saved("parts")
    assert all(
        torch.equal(one["history"][k], two["history"][k]) for k in one["history"]
    )
    parts = whole.parents[1] / "parts" / whole.name
    states = [load_file(f / "vqvae.safetensors") for f in (whole, parts)]
    assert states[0].keys() == states[1].keys() and "codebook.sums" in states[0]
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_notebook_goes_on_with_what_was_trained(project, whole):
    study, device = open_study("whole", "tiny"), pick_device()
    train_skulls = skulls(study, "train")
    stage, settings = vqvae_stage(study, train_skulls, 2, **CHANGES)
    model, history = train_vqvae(stage, train_skulls, settings, device)
    assert len(history["loss"]) == 6
    assert stage.settings["devices"] == 2
    weights = load_file(whole / "vqvae.safetensors")
    assert all(torch.equal(w, weights[k]) for k, w in model.state_dict().items())
    cache_latents(model, train_skulls, stage.folder / "latents", device)
    stage.finish(**evaluate(model, train_skulls, device))
    for number, objective, more in (
        ("03", OTFM, []),
        ("04", DDPM, []),
        ("04", DDPM_V, ["-p", "prediction", "v"]),
    ):
        given = ["-p", "steps", "2", "-p", "batch", "2", "-p", "learning_rate", "1e-4"]
        assert main(["train", number, *of("whole"), *given, *more]) == 0
        changes = {"steps": 2, "batch": 2, "learning_rate": 1e-4}
        trained, _ = denoiser_stage(study, objective, load_latents(study), **changes)
        assert read_checkpoint(trained.folder / "checkpoint.pt")["step"] == 2
        assert (trained.folder / "denoiser.safetensors").is_file()
        assert not list(study.folder.glob(f"{trained.name}.*"))  # none set aside


def test_what_one_process_says_is_said_once(project, capsys):
    assert (
        main(["train", "02", *of("whole"), "--devices", "2", "-p", "stpes", "3"]) == 1
    )
    line = capsys.readouterr().err.strip()
    assert line.startswith(
        "skfm: unknown setting 'stpes' of VQVAEConfig; expected one of"
    )
    assert main(["train", "03", *of("parts"), "--devices", "2"]) == 1
    line = capsys.readouterr().err.strip()
    assert "there is no finished 02_train_vqvae" in line and len(line.splitlines()) == 1


def on_four_devices():
    study, changes = open_study("whole", "tiny"), {**CHANGES, "batch": 1}
    return vqvae_stage(study, skulls(study, "train"), 4, **changes)


def test_more_gpus_than_there_are_are_refused(project, monkeypatch):
    stage, settings = on_four_devices()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(multi_device, "launch", None)
    with pytest.raises(SkfmError, match="4 devices requested, 2 CUDA device.*cluster"):
        train_in_processes(stage, settings)


def test_a_stage_of_other_devices_than_those_joined_is_refused(project, monkeypatch):
    stage, settings = on_four_devices()
    monkeypatch.setattr(distributed, "devices", lambda: 2)
    with pytest.raises(SkfmError, match="2 processes for a stage of 4 device"):
        train_in_processes(stage, settings)


def test_processes_are_given_what_differs_from_the_preset_only(project, monkeypatch):
    """Settings at a default of all models are not recorded; ours has others."""
    given = []
    monkeypatch.setattr(
        multi_device, "launch", lambda words, *more: given.extend(words)
    )
    settings = preset("tiny").ours.but(components=0, start=1.0, mirrored=False)
    study = open_study("whole", "tiny")
    chosen = {"ours": settings.as_dict(), "devices": 2}
    train_in_processes(Stage(study, "17_train_ours", chosen, {}), settings)
    pairs = dict(
        zip(given[given.index("-p") + 1 :: 3], given[given.index("-p") + 2 :: 3])
    )
    assert given[:2] == ["train", "17"]
    again = preset("tiny").ours.but(**{k: meaning(v) for k, v in pairs.items()})
    assert again == settings


def test_the_pace_names_one_device_and_does_not_rescale_the_rate():
    settings, here = preset("tiny").vqvae, pick_device()
    assert pace(settings.but(batch=1), 1) == (
        f"1 device × batch 1 = 1 skull a step, learning rate 0.003, on {here}"
    )
    assert pace(settings.but(batch=3, learning_rate=5e-5), 4) == (
        f"4 devices × batch 3 = 12 skulls a step, learning rate 5e-05, on {here}"
    )


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("3", 3),
        ("0.5", 0.5),
        ("false", False),
        ("True", True),
        ("null", None),
        ("channel", "channel"),
        ("[8, 16, 32]", [8, 16, 32]),
        ("../skulls", "../skulls"),
    ],
)
def test_parameters_are_what_they_look_like(text, value):
    found = meaning(text)
    assert found == value and type(found) is type(value)
