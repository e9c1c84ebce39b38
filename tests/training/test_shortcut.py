"""Shortcut training: from the flow's own weights, resumable, by mixed targets."""

import pytest
import torch

from skfm_lib.generation import SkullGenerator
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training import shortcut as training
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.shortcut import (
    mixed_target,
    shortcut_network,
    shortcut_stage,
    train_shortcut,
)
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

TINY = preset("tiny")
DENOISER = TINY.denoiser.but(width=8, multipliers=(1, 2), label_dropout=0.1)
QUALITY = torch.tensor([2, 5, 6, 3])


@pytest.fixture(scope="module")
def flow():
    """A flow of random weights."""
    torch.manual_seed(0)
    scale = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
    device = Device(torch.device("cpu"), torch.float32)
    network, vqvae = UNet3D(DENOISER).eval(), VQVAE(TINY.vqvae).eval()
    return SkullGenerator("otfm", network, vqvae, scale, device)


@pytest.fixture(params=[1.0, 0.8])
def study(project, request):
    """A study whose stage 17 is finished, with label dropout and one of two starts."""
    made, settings = open_study("new", "tiny"), DENOISER.but(start=request.param)
    made.stage("17_train_ours", {"ours": settings.as_dict()}).finish()
    return made


@pytest.fixture(scope="module")
def latents():
    """Five latents with their quality scores."""
    rng = torch.Generator().manual_seed(1)
    return Latents([(torch.randn(8, 4, 4, 4, generator=rng), q) for q in range(2, 7)])


class Latents(LatentSet):
    """Latents in memory."""

    def __init__(self, items):
        self.items = items

    def __len__(self):
        return len(self.items)

    def __getitem__(self, index):
        return self.items[index]


def test_training_starts_from_the_flow(flow):
    network = shortcut_network(flow.network, DENOISER)
    z = torch.randn(4, 8, 4, 4, 4)
    with torch.no_grad():
        plain = flow.network(z, 0.5, QUALITY)
        assert torch.equal(network(z, 0.5, QUALITY, 0.25), plain)


def test_only_larger_steps_get_targets_of_their_own(flow):
    torch.manual_seed(2)
    network = shortcut_network(flow.network, DENOISER)
    torch.nn.init.normal_(network.condition.leap[-1].weight)
    z, velocity = torch.randn(2, 4, 8, 4, 4, 4)
    t, d = torch.tensor([0.5, 1.0, 1.0, 1 / 128]), torch.tensor([1, 64, 128, 1]) / 128
    larger = torch.tensor([False, True, True, False])
    target = mixed_target(network, z, velocity, t, d, QUALITY, larger)
    assert torch.equal(target[[0, 3]], velocity[[0, 3]])
    with torch.no_grad():
        for i, half in ((1, 0.25), (2, 0.5)):
            one, q = z[i : i + 1], QUALITY[i : i + 1]
            first = network(one, 1.0, q, half)
            second = network(one - half * first, 1.0 - half, q, half)
            assert torch.allclose(target[i], (first + second)[0] / 2, atol=1e-5)
    given = network, z, velocity, t, d, QUALITY
    assert mixed_target(*given, torch.zeros(4, dtype=torch.bool)) is velocity


def test_the_stage_keeps_labels_and_comes_after_the_flow(study):
    stage, settings = shortcut_stage(study, steps=7)
    assert settings.steps == 7 and stage.settings["shortcut"]["steps"] == 7
    assert stage.settings["denoiser"]["label_dropout"] == 0
    assert stage.settings["denoiser"]["width"] == 8
    assert set(stage.inputs) == {"17_train_ours"}
    stage.finish()
    assert study.is_finished("13_train_shortcut")
    study.stage("17_train_ours", {"ours": DENOISER.but(steps=9).as_dict()}).finish()
    with pytest.raises(
        SkfmError, match="13_train_shortcut is stale, made from another"
    ):
        study.finished("13_train_shortcut")


def test_it_needs_ours(project):
    with pytest.raises(SkfmError, match="no finished 17_train_ours.*run 01 02 17 "):
        shortcut_stage(open_study("new", "tiny"))


@pytest.mark.parametrize("batch", [1, 4])
def test_stopped_training_goes_on_bit_for_bit(flow, study, latents, batch, monkeypatch):
    stage, settings = shortcut_stage(study, steps=6, batch=batch)
    whole, history = train(stage, flow, latents, settings)
    weights = (stage.folder / "denoiser.safetensors").read_bytes()
    assert len(history["loss"]) == 6
    changed = [
        not torch.equal(a, b)
        for a, b in zip(flow.network.parameters(), whole.parameters())
    ]
    assert any(changed)
    for path in stage.folder.iterdir():
        path.unlink()

    stop, target = [], training.otfm.path

    def stopping(*given):
        stop.append(1)
        if len(stop) == 4:
            raise KeyboardInterrupt
        return target(*given)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.otfm, "path", stopping)
        patch.setattr(training, "Trainer", _saving_always)
        train(stage, flow, latents, settings)
    assert (stage.folder / "checkpoint.pt").is_file()
    again, history = train(stage, flow, latents, settings)
    assert (stage.folder / "denoiser.safetensors").read_bytes() == weights


def train(stage, flow, latents, settings):
    network, scale, device = flow.network, flow.scale, flow.device
    return train_shortcut(stage, network, latents, scale, settings, device)


def _saving_always(*given, **more):
    return Trainer(*given, **more, save_seconds=0.0)


def test_a_model_learns_to_reach_a_skull_in_one_leap(flow, study, latents):
    stage, settings = shortcut_stage(study, steps=120, batch=4, learning_rate=5e-3)
    one = latents[0][0]
    model, _ = train(stage, flow, Latents(4 * [latents[0]]), settings)
    start = stage.settings["denoiser"].get("start", 1.0)
    z = torch.randn(3, 8, 4, 4, 4, generator=torch.Generator().manual_seed(3))
    z = (1 - start) * one + start * z
    with torch.no_grad():
        leap = z - start * model(z, start, 2, start)
        before = z - start * flow.network(z, start, 2)
    error = [(x - one).square().mean().item() for x in (leap, before)]
    assert error[0] < 0.5 * error[1]


def test_a_batch_above_the_training_set_is_refused(flow, study, latents):
    stage, settings = shortcut_stage(study, batch=6)
    with pytest.raises(SkfmError, match="batch 6 on 1 device.*training set of 5"):
        train(stage, flow, latents, settings)
