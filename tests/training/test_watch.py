"""Watching a training changes neither its weights nor its random numbers."""

import numpy as np
import pytest
import torch

from skfm_lib.generation import Preview, preview
from skfm_lib.presets import preset
from skfm_lib.study.data_stage import examples
from skfm_lib.training import vqvae
from skfm_lib.training.denoiser import DDPM, OTFM, OURS, train_denoiser
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.shortcut import shortcut_stage, train_shortcut
from skfm_lib.training.vqvae import load_vqvae, train_vqvae
from skfm_lib.utils.device import Device

CPU = Device(torch.device("cpu"), torch.float32)
ONE = torch.ones(8, 1, 1, 1)
SCALE = LatentScale(ONE, 2 * ONE, (-3.0, 3.0))
SMALL = preset("tiny").denoiser.but(steps=2, batch=3, width=8, heads=1)
BEGUN = SMALL.but(components=2, start=0.5, field_of_view=True)


class Latents(LatentSet):
    """Twelve latents in memory, of three scores."""

    fields_of_view = None

    def __init__(self):
        rng = torch.Generator().manual_seed(0)
        sizes = preset("tiny").vqvae
        shape = sizes.code_dim, *sizes.latent_shape
        self.z = torch.randn(60, *shape, generator=rng)
        self.qualities = [2, 4, 6] * 20
        heights = torch.tensor([-100.0, 60.0])
        self.fields_of_view = heights + 50 * torch.rand(60, 2, generator=rng)

    def __len__(self):
        return len(self.z)

    def __getitem__(self, index):
        return self.z[index], self.qualities[index]


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    """Previews of two sampling steps."""
    monkeypatch.setattr(preview, "STEPS", 2)


class Watch:
    """Calls a sample after every step, and checks what that leaves behind."""

    def __init__(self, sample):
        self.sample, self.rows = sample, []

    def __call__(self, trainer):
        before = [w.detach().clone() for w in trainer.model.state_dict().values()]
        states = torch.get_rng_state(), np.random.get_state()[1].copy()
        with trainer.averaged() as network:
            assert not network.training
            self.rows.append(self.sample(network))
        assert trainer.model.training
        after = trainer.model.state_dict().values()
        assert all(torch.equal(a, b) for a, b in zip(before, after))
        assert torch.equal(states[0], torch.get_rng_state())
        assert (states[1] == np.random.get_state()[1]).all()


def assert_same(one, other):
    """The same weights and history, bit for bit."""
    (a, first), (b, second) = one, other
    assert first == second and len(first["loss"]) == 2
    pairs = zip(a.state_dict().values(), b.state_dict().values())
    assert all(torch.equal(x, y) for x, y in pairs)


def assert_watched(watch, label):
    """A skull of each score after every step, which change with the network."""
    assert len(watch.rows) == 2
    for rows in watch.rows:
        assert list(rows) == [label] and list(rows[label]) == ["QS 2", "QS 4", "QS 6"]
        shape = preset("tiny").vqvae.output_shape
        assert all(v.shape == shape for v in rows[label].values())
    first, last = watch.rows
    assert (first[label]["QS 4"] != last[label]["QS 4"]).any()


@pytest.mark.parametrize(
    ("objective", "settings"), [(OTFM, SMALL), (DDPM, SMALL), (OURS, BEGUN)]
)
def test_a_watched_denoiser_is_the_same(study, objective, settings):
    latents, results = Latents(), []
    record = {objective.group: settings.as_dict()}
    autoencoder = load_vqvae(study, CPU)
    for name in (objective.stage, f"{objective.stage}_watched"):
        stage = study.stage(name, record, ("02_train_vqvae",))
        watch = Watch(Preview(stage, objective.name, autoencoder, latents, SCALE))
        seen = watch if name.endswith("watched") else None
        given = stage, objective, latents, SCALE, settings, CPU
        results.append(train_denoiser(*given, watch=seen))
    assert_same(*results)
    assert_watched(watch, objective.label)


def test_a_watched_shortcut_training_is_the_same(study):
    latents, results = Latents(), []
    stage = study.stage("17_train_ours", {"ours": BEGUN.as_dict()}, ("02_train_vqvae",))
    flow, _ = train_denoiser(stage, OURS, latents, SCALE, BEGUN, CPU)
    stage.finish()
    few, settings = shortcut_stage(study, steps=2)
    given = few, flow, latents, SCALE, settings.but(batch=4), CPU
    results.append(train_shortcut(*given))
    (few.folder / "checkpoint.pt").unlink()
    watch = Watch(Preview(few, "shortcut", load_vqvae(study, CPU), latents, SCALE))
    results.append(train_shortcut(*given, watch))
    assert_same(*results)
    assert_watched(watch, "shortcut")


def test_a_watched_autoencoder_is_the_same(study, phantoms):
    settings, results = study.settings.vqvae.but(steps=2, batch=2), []
    items = examples(phantoms)[:2]
    for name in ("02_plain", "02_watched"):
        stage = study.stage(name, {}, ("01_preprocess",))
        watch = Watch(vqvae.preview(phantoms, items, CPU))
        seen = watch if name == "02_watched" else None
        results.append(train_vqvae(stage, phantoms, settings, CPU, seen))
    (a, first), (b, second) = results
    assert first == second
    pairs = zip(a.state_dict().values(), b.state_dict().values())
    assert all(torch.equal(x, y) for x, y in pairs)
    assert len(watch.rows) == 2 and list(watch.rows[0]) == ["skull", "VQ-VAE"]
    (titles,) = {tuple(row) for rows in watch.rows for row in rows.values()}
    assert titles == ("QS 2", "QS 4")


def test_an_error_while_watching_leaves_the_weights_of_the_training(tmp_path):
    from skfm_lib.presets import TrainingConfig
    from skfm_lib.training.trainer import Trainer

    settings = TrainingConfig(4, 2, 0.1, 0.1, (0.9, 0.99), 1)
    trainer = Trainer(torch.nn.Linear(2, 1), settings, CPU, tmp_path, "a", 0.9)
    for _ in trainer.steps("test"):
        trainer.descend(trainer.model(torch.ones(2, 2)).square().mean())
    own = trainer.model.weight.detach().clone()
    with pytest.raises(KeyboardInterrupt), trainer.averaged():
        assert not torch.equal(trainer.model.weight, own)
        raise KeyboardInterrupt
    assert torch.equal(trainer.model.weight, own)
