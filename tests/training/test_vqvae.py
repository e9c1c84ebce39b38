"""Stage one at work on a few phantoms: it learns, and resumes bit for bit."""

import functools
import itertools

import pytest
import torch

from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training import vqvae
from skfm_lib.training.trainer import Trainer
from skfm_lib.training.vqvae import evaluate, load_vqvae, reconstruct_items, train_vqvae
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError

SETTINGS = preset("tiny").vqvae.but(steps=8, batch=2, codes=64)


@pytest.fixture(autouse=True)
def save_often(monkeypatch):
    trainer = functools.partial(Trainer, save_seconds=-1.0)
    monkeypatch.setattr(vqvae, "Trainer", trainer)


def stage_of(name, settings=SETTINGS):
    chosen = {"vqvae": settings.as_dict()}
    return open_study(name, "tiny").stage("02_train_vqvae", chosen)


def kill_at(monkeypatch, owner, name, step):
    """Interrupt when `name` of `owner` is called in the `step`-th time."""
    calls, original = itertools.count(), getattr(owner, name)

    def killed(*given, **named):
        if next(calls) == step:
            raise KeyboardInterrupt
        return original(*given, **named)

    monkeypatch.setattr(owner, name, killed)


def assert_same_weights(a, b):
    assert a.keys() == b.keys() and "codebook.vectors" in a
    assert all(torch.equal(a[name], b[name]) for name in a)


@pytest.fixture(scope="module")
def uninterrupted(phantoms, tmp_path_factory):
    """The model and its history."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder := tmp_path_factory.mktemp("whole"))
        (folder / "pyproject.toml").touch()
        (folder / "notebooks").mkdir()
        return train_vqvae(stage_of("whole"), phantoms, SETTINGS, pick_device())


@pytest.mark.parametrize("moment", ["descent", "codebook", "release"])
def test_killed_training_resumes_bit_for_bit(
    project, phantoms, monkeypatch, uninterrupted, moment
):
    whole, history = uninterrupted
    with monkeypatch.context() as patch:
        owner, name, step = {
            "descent": (Trainer, "descend", 5),
            "codebook": (type(whole.codebook), "update", 3),  # after the descent
            "release": (vqvae, "save_weights", 0),
        }[moment]
        kill_at(patch, owner, name, step)
        with pytest.raises(KeyboardInterrupt):
            train_vqvae(stage_of("parts"), phantoms, SETTINGS, pick_device())
    torch.manual_seed(99)  # nothing depends on the global state
    resumed, again = train_vqvae(stage_of("parts"), phantoms, SETTINGS, pick_device())
    assert history == again
    assert_same_weights(whole.state_dict(), resumed.state_dict())
    assert whole.codebook.updates == SETTINGS.steps and whole.codebook.seeded


def test_the_loss_falls_and_the_weights_come_back(project, phantoms):
    settings, device = SETTINGS.but(steps=25, batch=6), pick_device()
    stage = stage_of("run", settings)
    with pytest.raises(SkfmError, match="skfm run 01 02 --run run --preset tiny"):
        load_vqvae(stage.study, device)
    model, history = train_vqvae(stage, phantoms, settings, device)
    assert set(history) == {"loss", "reconstruction", "commitment"}
    losses = torch.tensor(history["reconstruction"])
    assert len(losses) == 25 and losses[-3:].mean() < 0.9 * losses[:3].mean()
    total = losses + 0.25 * torch.tensor(history["commitment"])
    assert torch.allclose(torch.tensor(history["loss"]), total, rtol=1e-5)
    stage.finish()
    loaded = load_vqvae(stage.study, device)
    assert not loaded.training and loaded.settings == settings
    assert_same_weights(model.state_dict(), loaded.state_dict())


def test_assessment_is_that_of_the_reconstructions(project, phantoms):
    settings, device = SETTINGS.but(steps=2), pick_device()
    model, _ = train_vqvae(stage_of("run", settings), phantoms, settings, device)
    v, v_hat, indices = reconstruct_items(model, phantoms, range(6), device)
    assert torch.equal(v, torch.stack([phantoms[i][0] for i in range(6)]))
    assert v_hat.shape == v.shape and v_hat.dtype == torch.float32
    result = evaluate(model, phantoms, device)
    assert result["error"] == pytest.approx((v_hat - v).abs().mean().item(), rel=1e-4)
    assert result["codes_used"] == len(indices.unique())
    assert 1 <= result["perplexity"] <= 64
    assert 0 <= result["worst_dice"] <= result["dice"] <= 1


def test_a_batch_above_the_training_set_is_refused(project, phantoms):
    settings = SETTINGS.but(batch=7)
    with pytest.raises(SkfmError, match="batch 7 on 1 device.*training set of 6"):
        train_vqvae(stage_of("run"), phantoms, settings, pick_device())


@pytest.mark.parametrize("padding", ["replicate", "zeros"])
def test_a_network_of_before_there_was_the_setting_pads_with_zeros(
    project, phantoms, padding
):
    settings = SETTINGS.but(steps=1, padding=padding)
    chosen = settings.as_dict()
    assert chosen["padding"] == padding  # always recorded, unlike other defaults
    if padding == "zeros":
        del chosen["padding"]
    stage = open_study("run", "tiny").stage("02_train_vqvae", {"vqvae": chosen})
    train_vqvae(stage, phantoms, settings, pick_device())
    stage.finish()
    assert load_vqvae(stage.study, pick_device()).settings.padding == padding
