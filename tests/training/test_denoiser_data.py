"""Training with mirrored skulls and on fields of view: exact, and nothing when off."""

import itertools
from functools import partial

import pytest
import torch
from torch.nn import functional as F

from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.generation import generator_of
from skfm_lib.losses import otfm
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.samplers import Sampler
from skfm_lib.training import denoiser, mirrored_latents
from skfm_lib.training.denoiser import OTFM, OURS, train_denoiser
from skfm_lib.training.latents import LatentScale, LatentSet, cache_latents
from skfm_lib.training.shortcut import shortcut_stage, train_shortcut
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import batch_indices, generator, noise, seed_of

CPU = Device(torch.device("cpu"), torch.float32)
ONE = torch.ones(8, 1, 1, 1)
SCALE = LatentScale(0 * ONE, ONE, None)
OFF = preset("tiny").denoiser.but(steps=4, batch=3, width=8, heads=1)
ON = OFF.but(mirrored=True, field_of_view=True)


@pytest.fixture
def latents(study, phantoms):
    folder = study.finished("02_train_vqvae").folder
    torch.manual_seed(0)
    model = VQVAE(study.settings.vqvae).eval()
    cache_latents(model, phantoms, folder / "latents", CPU)
    return LatentSet(folder / "latents", phantoms)


def stage_of(study, settings):
    chosen = {"objective": "otfm", "denoiser": settings.as_dict()}
    return study.stage("03_train_otfm", chosen, ("02_train_vqvae",))


def train(stage, latents, settings):
    return train_denoiser(stage, OTFM, latents, SCALE, settings, CPU)


def equal(a, b):
    pairs = zip(a.state_dict().values(), b.state_dict().values())
    return all(torch.equal(x, y) for x, y in pairs)


def test_off_is_plain_flow_matching_bit_for_bit(study, latents):
    settings = OFF.but(steps=2)
    stage = stage_of(study, settings)
    found, history = train(stage, latents, settings)
    assert settings.as_dict().keys().isdisjoint({"mirrored", "field_of_view"})
    seed = seed_of(study.seed, "denoiser")
    torch.manual_seed(seed)
    given = UNet3D(settings), settings, CPU, stage.folder / "reference", "other"
    trainer = Trainer(*given, settings.ema_decay)
    for step in trainer.steps("reference"):
        chosen = batch_indices(seed, step, len(latents), 3)
        x_0 = torch.stack([latents[i][0] for i in chosen])
        samples = range(3 * step, 3 * step + 3)
        eps = noise(x_0.shape[1:], seed, "eps", samples=samples)
        tau = torch.randint(1, 301, (3,), generator=generator(seed, "t", step))
        z_t, u = otfm.path(x_0, eps, tau / 300)
        quality = torch.tensor([latents.qualities[i] for i in chosen])
        trainer.descend(F.mse_loss(trainer.model(z_t, tau / 300, quality), u))
    assert trainer.history == history and equal(trainer.use_average(), found)
    folder = study.finished("02_train_vqvae").folder
    assert not (folder / "latents-mirrored").exists()  # what is off, is not made
    assert [p.name for p in folder.glob("latents/*.json")] == []


def test_each_switch_changes_the_training(study, latents):
    found = []
    for changes in ({}, {"mirrored": True}, {"field_of_view": True}):
        settings = OFF.but(steps=2, **changes)
        _, history = train(stage_of(study, settings), latents, settings)
        found.append(history["loss"])
    plain, mirrored, seeing = found
    assert mirrored[0] != plain[0]
    # A network of other initial weights, since the condition has some of its own.
    assert seeing != plain and len({len(losses) for losses in found}) == 1


def test_mirrored_latents_are_encoded_once(study, latents, phantoms, monkeypatch):
    found = mirrored_latents.mirrored_latents(study, latents, CPU)
    assert found.files[0].parent.name == "latents-mirrored"
    assert found.qualities == latents.qualities
    model = mirrored_latents.load_vqvae(study, CPU)
    with torch.no_grad():
        want = model.encode(phantoms[5][0][None].flip(-2))[0]
    assert (found[5][0] - want).abs().max() <= 2**-10 * want.abs().max()
    monkeypatch.setattr(VQVAE, "encode", lambda *given: pytest.fail("again"))
    again = mirrored_latents.mirrored_latents(study, latents, CPU)
    assert torch.equal(again[2][0], found[2][0])


def test_training_resumes_bit_for_bit_and_the_weights_know_their_fields(
    study, latents, phantoms, monkeypatch
):
    often = partial(Trainer, save_seconds=-1.0)
    monkeypatch.setattr(denoiser, "Trainer", often)
    stage, descend = stage_of(study, ON), Trainer.descend
    left = itertools.count()

    def killed(self, loss, **record):
        if next(left) == 2:
            raise KeyboardInterrupt
        descend(self, loss, **record)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Trainer, "descend", killed)
        train(stage, latents, ON)
    assert (stage.folder / "checkpoint.pt").is_file()
    parts, history = train(stage, latents, ON)
    for path in stage.folder.glob("*[!n]"):  # all but stage.json
        path.unlink()
    whole, once = train(stage, latents, ON)
    assert history == once and len(once["loss"]) == 4 and equal(parts, whole)

    stage.finish()
    made = generator_of(stage, "otfm")
    fields = latents.fields_of_view.tolist()
    assert made.fields == FieldsOfView.of(fields, phantoms.qualities)
    assert equal(made.network, whole)


def test_a_shortcut_keeps_both(study, latents):
    stage = study.stage("17_train_ours", {"ours": ON.as_dict()}, ("02_train_vqvae",))
    train_denoiser(stage, OURS, latents, SCALE, ON, CPU)
    stage.finish()
    flow, (few, settings) = generator_of(stage, "ours"), shortcut_stage(study, steps=2)
    assert few.settings["denoiser"]["mirrored"]
    settings = settings.but(batch=6)  # one of them has a step of its own
    train_shortcut(few, flow.network, latents, SCALE, settings, CPU)
    made = generator_of(few, "shortcut")
    assert made.fields == flow.fields
    z = made.latents([4, 6], [1, 2], Sampler("shortcut", 2))
    assert z.isfinite().all()


def test_weights_without_the_condition_are_refused(study, latents):
    plain = stage_of(study, OFF)
    train(plain, latents, OFF)
    plain.finish()
    assert generator_of(plain, "otfm").fields is None
    plain.settings["denoiser"]["field_of_view"] = True
    with pytest.raises(SkfmError, match="weights of another network"):
        generator_of(plain, "otfm")
