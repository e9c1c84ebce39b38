"""Optional losses of the VQ-VAE: what they add to its loss, and exact resuming."""

import functools
import itertools

import pytest
import torch

from skfm_lib.losses.perceptual import StudyDistance
from skfm_lib.models import VQVAE
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training import vqgan_losses, vqvae
from skfm_lib.training.checkpoints import read_checkpoint
from skfm_lib.training.optimizer import Companion
from skfm_lib.training.trainer import Trainer
from skfm_lib.training.vqgan_losses import VQGANLosses
from skfm_lib.training.vqvae import load_vqvae, train_vqvae, vqvae_stage
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.errors import SkfmError

PLAIN = preset("tiny").vqvae.but(steps=5, batch=2, codes=64)
WITH_ALL = PLAIN.but(adversarial=0.25, perceptual=1.0)
CPU = Device(torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    """Save after every step; the feature network as it was born."""
    trainer = functools.partial(Trainer, save_seconds=-1.0)
    monkeypatch.setattr(vqvae, "Trainer", trainer)

    def untrained(*given):
        torch.manual_seed(1)
        return StudyFeatures().eval()

    monkeypatch.setattr(vqgan_losses, "study_features", untrained)


def train(name, skulls, settings=WITH_ALL):
    study = open_study(name, "tiny")
    study.stage("01_preprocess", {}).finish()
    chosen = {k: v for k, v in settings.as_dict().items() if k != "output_shape"}
    stage, made = vqvae_stage(study, skulls, **chosen)
    assert made == settings
    return stage, train_vqvae(stage, skulls, settings, pick_device())


def everything(stage):
    """All tensors of a checkpoint, by where they are."""
    state = read_checkpoint(stage.folder / "checkpoint.pt")
    return dict(flat(state, ()))


def flat(part, path):
    if isinstance(part, torch.Tensor):
        yield path, part
    elif isinstance(part, dict | list):
        items = part.items() if isinstance(part, dict) else enumerate(part)
        for key, value in items:
            yield from flat(value, (*path, key))


@pytest.mark.parametrize(
    "owner", [Trainer, Companion], ids=["network", "discriminators"]
)
def test_killed_training_resumes_bit_for_bit(project, phantoms, monkeypatch, owner):
    stage, (_, history) = train("whole", phantoms)
    calls, descend = itertools.count(), owner.descend

    def killed(*given, **named):
        if next(calls) == 2:
            raise KeyboardInterrupt
        return descend(*given, **named)

    with monkeypatch.context() as patch:
        patch.setattr(owner, "descend", killed)
        with pytest.raises(KeyboardInterrupt):
            train("parts", phantoms)
    torch.manual_seed(99)  # nothing depends on the global state
    parts, (_, again) = train("parts", phantoms)
    assert history == again
    a, b = everything(stage), everything(parts)
    assert a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)
    kept = {path[1] for path in a if path[0] == "companion"}
    assert kept == {"network", "optimiser"}


def test_the_loss_is_the_sum_of_its_parts(project, phantoms):
    stage, (model, history) = train("run", phantoms)
    assert set(history) == {
        "loss",
        "reconstruction",
        "commitment",
        "perceptual",
        "adversarial",
        "matching",
        "discriminators",
    }
    parts = {name: torch.tensor(values) for name, values in history.items()}
    assert {len(values) for values in parts.values()} == {5}  # 1/15 of 5 is no step
    total = 0.25 * parts["commitment"] + sum(
        parts[k] for k in ("reconstruction", "perceptual", "adversarial", "matching")
    )
    assert torch.allclose(parts["loss"], total, rtol=1e-5)
    stage.finish()
    loaded = load_vqvae(stage.study, pick_device())
    assert loaded.settings == WITH_ALL
    pairs = zip(model.state_dict().values(), loaded.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def losses_of(settings, distance=None):
    torch.manual_seed(0)
    model = VQVAE(settings)
    return model, VQGANLosses(model, distance, CPU, seed=0)


def skulls_at(settings):
    return torch.randn(2, 1, *settings.output_shape).sign()


def test_by_default_nothing_is_added(project, phantoms):
    model, nothing = losses_of(PLAIN)
    assert (
        nothing.discriminators is None
        and nothing.losses(*2 * [skulls_at(PLAIN)], 4) == {}
    )
    assert not model._forward_hooks
    stage, (_, history) = train("run", phantoms, PLAIN)
    assert set(history) == {"loss", "reconstruction", "commitment"}
    assert "companion" not in torch.load(stage.folder / "checkpoint.pt")


def test_discriminators_wait_for_a_fifteenth_of_the_steps():
    settings = PLAIN.but(adversarial=0.25, steps=30)
    model, those = losses_of(settings)
    v = skulls_at(settings)
    v_hat = model.loss(v)[-1]
    assert those.start == 2
    found = [set(those.losses(v, v_hat, step)) for step in (0, 1, 2, 29)]
    assert found == [set(), set()] + 2 * [{"adversarial", "matching"}]


@pytest.mark.parametrize("upsample", [True, False])
def test_adversarial_losses_move_the_autoencoder_only(upsample):
    settings = WITH_ALL.but(upsample=upsample)
    model, those = losses_of(settings, StudyDistance(StudyFeatures()))
    v = skulls_at(settings)
    v_hat = model.loss(v)[-1]
    sum(those.losses(v, v_hat, 3).values()).backward()
    assert all(w.grad is None for w in those.discriminators.network.parameters())
    assert all(w.requires_grad for w in those.discriminators.network.parameters())
    assert all(w.grad is None for w in those.distance.parameters())
    assert sum(w.grad.abs().sum() for w in model.decoder.parameters()) > 0


def test_discriminators_learn_to_tell(tmp_path):
    settings = PLAIN.but(adversarial=0.25, steps=12, warmup=0)
    model, those = losses_of(settings)
    trainer = Trainer(
        model, settings, CPU, tmp_path, "x", companion=those.discriminators
    )
    v = skulls_at(settings)
    for step in trainer.steps("test"):
        those.losses(v, model.loss(v)[-1], step)
        those.train_discriminators(trainer)  # the autoencoder stays as it is
    losses = trainer.history["discriminators"]
    assert len(losses) == 11 and losses[-1] < 0.5 * losses[0]


def test_slices_are_random_and_the_same_again():
    _, those = losses_of(PLAIN)
    drawn = [those._slices(4, 29, step).tolist() for step in range(20)]
    assert drawn == [those._slices(4, 29, step).tolist() for step in range(20)]
    assert set(sum(drawn, [])) <= set(range(29)) and len(set(sum(drawn, []))) > 15


def test_missing_lpips_weights_stop_before_the_training(project, phantoms):
    settings = PLAIN.but(perceptual=1.0, lpips_weights="nowhere")
    with pytest.raises(SkfmError, match="no file .*nowhere/vgg16.*next: put"):
        train("run", phantoms, settings)


def test_switches_that_are_off_leave_the_fingerprint_as_it_was():
    names = {"adversarial", "perceptual", "lpips_weights"}
    assert not names & set(PLAIN.as_dict())
    assert PLAIN.but(adversarial=0.0, perceptual=0.0).as_dict() == PLAIN.as_dict()
    said = WITH_ALL.as_dict()
    assert (said["adversarial"], said["perceptual"]) == (0.25, 1.0)
    assert preset("tiny").vqvae.but(**said) == WITH_ALL
