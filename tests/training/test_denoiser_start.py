"""Training of a flow that begins with a linear shape model, and sampling from it."""

import pytest
import torch

from skfm_lib.generation import generator_of
from skfm_lib.models import UNet3D
from skfm_lib.presets import preset
from skfm_lib.samplers import Sampler
from skfm_lib.training import denoiser, linear_start
from skfm_lib.training.denoiser import DDPM, OTFM, OURS, train_denoiser
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.linear_start import LINEAR
from skfm_lib.training.shortcut import shortcut_stage, train_shortcut
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import noise

CPU = Device(torch.device("cpu"), torch.float32)
ONE = torch.ones(8, 1, 1, 1)
SCALE = LatentScale(ONE, 2 * ONE, None)
OFF = preset("tiny").denoiser.but(steps=2, batch=3, width=8, heads=1)
ON = OFF.but(components=2, start=0.5)


class Latents(LatentSet):
    """Sixty latents in memory, of two scores and random fields of view."""

    fields_of_view = None

    def __init__(self):
        rng = torch.Generator().manual_seed(0)
        vqvae = preset("tiny").vqvae
        shape = vqvae.code_dim, *vqvae.latent_shape
        self.z, self.qualities = torch.randn(60, *shape, generator=rng), [4, 6] * 30
        heights = torch.tensor([-100.0, 60.0])
        self.fields_of_view = heights + 50 * torch.rand(60, 2, generator=rng)

    def __len__(self):
        return len(self.z)

    def __getitem__(self, index):
        return self.z[index], self.qualities[index]


@pytest.fixture
def latents():
    return Latents()


def trained(study, latents, settings, objective=OTFM):
    chosen = {"objective": objective.name, "denoiser": settings.as_dict()}
    stage = study.stage("03_train_otfm", chosen, ("02_train_vqvae",))
    train_denoiser(stage, objective, latents, SCALE, settings, CPU)
    stage.finish()
    return stage


def test_only_times_up_to_the_start_are_trained():
    quality = torch.full((4000,), 3)
    t, _ = denoiser._times_and_labels(quality, ON, 0, 0)
    assert 1 / 300 <= t.min() and t.max() == 0.5
    assert t.mean().item() == pytest.approx(0.25, abs=0.01)
    late = ON.but(time_mean=1.0)
    t, _ = denoiser._times_and_labels(quality, late, 0, 0)
    assert t.max() <= 0.5 and t.median().item() == pytest.approx(0.399, abs=0.01)
    for changes, last in (({"margin": 0.2}, 0.7), ({"start": 0.9, "margin": 0.2}, 1)):
        for mean in ({}, {"time_mean": 1.0}):
            beyond = ON.but(**changes, **mean)
            t, _ = denoiser._times_and_labels(quality, beyond, 0, 0)
            assert last - 0.02 < t.max() <= last + 1e-6


@pytest.mark.parametrize("seeing", [False, True])
def test_a_sample_begins_with_a_skull_of_the_linear_model(study, latents, seeing):
    settings = ON.but(field_of_view=seeing)
    made = generator_of(trained(study, latents, settings), "otfm")
    assert len(made.linear.knots) == (latents[0][0].shape[-1] if seeing else 0)
    scores, seeds, shape = [4, 6], [7, 8], latents[0][0].shape
    eps, start = (noise(shape, n, samples=seeds) for n in ("linear", "start"))
    seen = made.fields_of_view(scores, seeds)
    drawn = made.linear.draw(eps, torch.tensor(scores), seen)
    torch.nn.init.zeros_(made.network.out.weight)
    torch.nn.init.zeros_(made.network.out.bias)  # a velocity of 0
    z = made.latents(scores, seeds, Sampler("euler", 3))
    assert torch.allclose(z, SCALE.restore(0.5 * drawn + 0.5 * start), atol=1e-5)
    # Of a constant velocity, the way to t = 0 is as long as the start.
    torch.nn.init.ones_(made.network.out.bias)
    moved = made.latents(scores, seeds, Sampler("euler", 3))
    assert torch.allclose(z - moved, torch.full_like(z, 2 * 0.5), atol=1e-4)


def test_the_linear_model_is_fitted_once(study, latents, monkeypatch):
    stage = trained(study, latents, ON)
    monkeypatch.setattr(linear_start, "fit_linear", lambda *given: pytest.fail("again"))
    before = (stage.folder / LINEAR).read_bytes()
    train_denoiser(stage, OTFM, latents, SCALE, ON, CPU)
    assert (stage.folder / LINEAR).read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "objective", "found"),
    [
        ({"components": 2}, OTFM, "components 2, start 1; expected components and"),
        ({"start": 0.5}, OTFM, "components 0, start 0.5"),
        ({"components": 2, "start": 0.001}, OTFM, "start 0.001; .*at least 1/T"),
        ({"components": 2, "start": 0.5}, DDPM, "start 0.5 with DDPM"),
        ({"components": 58, "start": 0.5}, OTFM, "components 58 for 58 .*1 to 57"),
    ],
)
def test_what_does_not_go_together_is_said_before_training(
    study, latents, changes, objective, found
):
    with pytest.raises(SkfmError, match=found):
        trained(study, latents, OFF.but(**changes), objective)
    assert not list(study.folder.glob("03*/checkpoint.pt"))


def test_a_shortcut_of_ours_begins_where_it_does(study, latents, monkeypatch):
    settings, asked = ON.but(field_of_view=True), []
    stage = study.stage("17_train_ours", {"ours": settings.as_dict()})
    train_denoiser(stage, OURS, latents, SCALE, settings, CPU)
    stage.finish()
    ours, (few, chosen) = generator_of(stage, "ours"), shortcut_stage(study, steps=2)
    forward = UNet3D.forward

    def watched(self, z_t, t, quality, d=None, **seen):
        asked.append((t, d))
        return forward(self, z_t, t, quality, d, **seen)

    with monkeypatch.context() as patch:
        patch.setattr(UNet3D, "forward", watched)
        given = latents, SCALE, chosen.but(batch=24), CPU
        train_shortcut(few, ours.network, *given)
    t, d = (torch.cat(values) for values in zip(*asked))
    assert t.max() == 0.5 and (t - d).min() >= 0
    made = generator_of(few, "shortcut")
    assert made.start == 0.5 and made.fields == ours.fields
    assert torch.equal(made.linear.components, ours.linear.components)
    # Of a velocity of 0 and without the symmetry, a sample is the start of ours.
    for one in (made, ours):
        torch.nn.init.zeros_(one.network.out.weight)
        torch.nn.init.zeros_(one.network.out.bias)
    samples = [4, 6], [7, 8]
    z = made.latents(*samples, Sampler("shortcut", 4))
    assert torch.equal(z, ours.latents(*samples, Sampler("euler", 3)))
    torch.nn.init.ones_(made.network.out.bias)
    moved = made.latents(*samples, Sampler("shortcut", 4))
    assert torch.allclose(z - moved, torch.full_like(z, 2 * 0.5), atol=1e-4)


def test_ours_begins_before_it_is_made_symmetric(study, latents):
    settings = ON.but(start=0.3)
    stage = study.stage("17_train_ours", {"ours": {}}, ("02_train_vqvae",))
    with pytest.raises(SkfmError, match="start 0.3 of ours.*above 0.4"):
        train_denoiser(stage, OURS, latents, SCALE, settings, CPU)
    assert not (stage.folder / LINEAR).exists()
