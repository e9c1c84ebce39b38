"""The training loop: exact resume, averaged weights, what it refuses."""

import itertools
import math
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import nn

from skfm_lib.losses import ddpm
from skfm_lib.presets import TrainingConfig, preset
from skfm_lib.study import open_study
from skfm_lib.training import denoiser
from skfm_lib.training.checkpoints import load_weights, read_checkpoint, save_weights
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.trainer import Trainer, learning_rate
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import generator

CPU = Device(torch.device("cpu"), torch.float32)
SETTINGS = TrainingConfig(
    steps=12, batch=4, learning_rate=0.05, final_rate=0.1, betas=(0.9, 0.99), warmup=3
)


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(3, 5), nn.SiLU(), nn.Linear(5, 1))


def trainer(folder, settings=SETTINGS, fingerprint="abc", save_seconds=-1.0):
    """A trainer that saves after every step, unless told otherwise."""
    return Trainer(network(), settings, CPU, folder, fingerprint, 0.9, save_seconds)


def loss_of(made, step):
    x = torch.randn(4, 3, generator=generator("x", step))
    return (made.model(x) - x.sum(1, keepdim=True)).square().mean()


def train(made, stop=None):
    """Train until done, or break off after the descent of step `stop`."""
    for step in made.steps("test"):
        made.descend(loss_of(made, step), twice=2.0 * step)
        if step == stop:
            break
    return made


def everything(made):
    """All that is to be the same bit for bit."""
    optimiser = made.optimiser.state_dict()
    moments = [v for s in optimiser["state"].values() for v in s.values()]
    weights = list(made.model.state_dict().values())
    return [*weights, *made.average, *moments]


def assert_equal(a, b):
    assert a.step == b.step and a.history == b.history
    assert len(everything(a)) == len(everything(b))
    assert all(torch.equal(x, y) for x, y in zip(everything(a), everything(b)))


@pytest.fixture
def whole(tmp_path):
    return train(trainer(tmp_path / "whole"))


@pytest.mark.parametrize("stop", [0, 1, 5, 11])
def test_resumed_training_equals_an_uninterrupted_one(tmp_path, whole, stop):
    # The checkpoint is of the step before: what came after it is done again.
    train(trainer(tmp_path / "parts"), stop)
    resumed = trainer(tmp_path / "parts")
    assert resumed.step == stop
    assert_equal(train(resumed), whole)


def test_killed_twice_with_an_old_checkpoint(tmp_path, whole):
    folder = tmp_path / "parts"
    train(trainer(folder), stop=4)
    shutil.copy(folder / "checkpoint.pt", tmp_path / "old.pt")
    train(trainer(folder), stop=9)
    shutil.copy(tmp_path / "old.pt", folder / "checkpoint.pt")
    resumed = trainer(folder)
    assert resumed.step == 4 and len(resumed.history["loss"]) == 4
    assert_equal(train(resumed), whole)


def test_a_finished_training_has_no_steps_left(tmp_path, whole):
    again = trainer(tmp_path / "whole")
    assert list(again.steps("test")) == []
    assert_equal(again, whole)


def test_checkpoints_are_written_at_the_end_and_when_time_is_up(tmp_path):
    path = tmp_path / "checkpoint.pt"
    train(trainer(tmp_path, save_seconds=1e9), stop=10)
    assert not path.exists()
    train(trainer(tmp_path, save_seconds=1e9))
    assert torch.load(path, weights_only=True)["step"] == SETTINGS.steps
    assert [p.name for p in tmp_path.iterdir()] == ["checkpoint.pt"]


def test_the_history_has_every_step_and_the_loss_falls(whole):
    assert whole.history["twice"] == [2.0 * step for step in range(12)]
    losses = whole.history["loss"]
    assert len(losses) == 12 and sum(losses[-3:]) < sum(losses[:3])


def test_a_truncated_checkpoint_is_reported(tmp_path, whole):
    path = tmp_path / "whole" / "checkpoint.pt"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SkfmError, match="checkpoint.pt cannot be read.*move the file"):
        trainer(tmp_path / "whole")


def test_a_checkpoint_of_other_settings_is_reported(tmp_path, whole):
    with pytest.raises(SkfmError, match="other settings.*xyz.*abc"):
        trainer(tmp_path / "whole", fingerprint="xyz")


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_and_keeps_the_checkpoint(tmp_path, value):
    made = train(trainer(tmp_path), stop=4)
    before = (tmp_path / "checkpoint.pt").read_bytes()
    weights = [w.clone() for w in everything(made)]
    with pytest.raises(SkfmError, match="finite losses.*learning_rate"):
        made.descend(loss_of(made, 5) * value)
    with pytest.raises(SkfmError, match="finite losses"):
        made.descend(loss_of(made, 5), commitment=value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert all(torch.equal(a, b) for a, b in zip(everything(made), weights))


def test_one_step_is_adam_on_the_clipped_gradient(tmp_path):
    made, reference = trainer(tmp_path), network()
    adam = torch.optim.Adam(reference.parameters(), 1.0, betas=SETTINGS.betas)
    for step in itertools.islice(made.steps("test"), 4):
        made.descend(1000 * loss_of(made, step))
        x = torch.randn(4, 3, generator=generator("x", step))
        adam.zero_grad()
        (1000 * (reference(x) - x.sum(1, keepdim=True)).square().mean()).backward()
        norm = torch.cat([w.grad.flatten() for w in reference.parameters()]).norm()
        assert norm > 1
        for weight in reference.parameters():
            weight.grad /= norm
        adam.param_groups[0]["lr"] = learning_rate(SETTINGS, step)
        adam.step()
    for got, want in zip(made.model.parameters(), reference.parameters()):
        assert torch.allclose(got, want, atol=1e-4)


def test_averaged_weights_are_the_recursion(tmp_path):
    made = trainer(tmp_path)
    means = [w.detach().double().clone() for w in made.model.parameters()]
    for step in made.steps("test"):
        made.descend(loss_of(made, step))
        decay = min(0.9, (1 + step) / (10 + step))
        for i, weight in enumerate(made.model.parameters()):
            means[i] = decay * means[i] + (1 - decay) * weight.detach().double()
    last = [w.detach().clone() for w in made.model.parameters()]
    used = made.use_average()
    assert not used.training
    for got, mean, weight in zip(used.parameters(), means, last):
        assert torch.allclose(got.double(), mean, atol=1e-6)
        assert not torch.allclose(got, weight, atol=1e-6)


def test_learning_rate_warms_up_and_falls_along_a_cosine():
    settings = TrainingConfig(100, 1, 2.0, 0.1, (0.9, 0.99), 10)
    rates = [learning_rate(settings, step) for step in range(101)]
    assert rates[0] == pytest.approx(0.2, rel=1e-3)
    assert rates[:10] == sorted(rates[:10]) and rates[10:] == sorted(rates[10:])[::-1]
    assert rates[50] == pytest.approx(2 * (0.1 + 0.9 / 2))
    assert rates[25] == pytest.approx(2 * (0.1 + 0.9 * math.cos(math.pi / 8) ** 2))
    assert rates[100] == pytest.approx(0.2)


def test_a_final_rate_of_one_is_constant_as_in_the_paper():
    settings = preset("paper").denoiser
    assert {learning_rate(settings, step) for step in (0, 1, 199_999)} == {5e-5}


def test_released_weights_come_back(tmp_path, whole):
    path, model = tmp_path / "weights.safetensors", nn.Sequential(*network())
    save_weights(whole.model, path, {"codes": 5, "of": "Schädel"})
    assert load_weights(model, path) == {"codes": 5, "of": "Schädel"}
    pairs = zip(model.state_dict().values(), whole.model.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)


def test_weights_that_cannot_be_used_are_reported(tmp_path, whole):
    path = tmp_path / "weights.safetensors"
    with pytest.raises(SkfmError, match="cannot be read.*run the training stage"):
        load_weights(network(), path)
    save_weights(whole.model, path, {})
    with pytest.raises(SkfmError, match="weights of another network"):
        load_weights(nn.Sequential(nn.Linear(3, 6)), path)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SkfmError, match="cannot be read"):
        load_weights(network(), path)


def test_weights_of_another_program_are_reported(tmp_path):
    path = tmp_path / "weights.safetensors"
    save_file(network().state_dict(), path)
    with pytest.raises(SkfmError, match="no record of its training"):
        load_weights(network(), path)
    save_file(network().state_dict(), path, {"about": "no JSON"})
    with pytest.raises(SkfmError, match="cannot be read"):
        load_weights(network(), path)


class Latents(LatentSet):
    """Four random latents with their quality scores."""

    def __init__(self):
        pass

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return torch.randn(8, 4, 4, 4, generator=rng), 2 + index


@pytest.mark.parametrize("objective", denoiser.OBJECTIVES.values())
def test_a_killed_denoiser_resumes_bit_for_bit(project, monkeypatch, objective):
    settings = preset("tiny").denoiser.but(
        steps=5, batch=3, width=8, label_dropout=0.3, heads=1
    )
    one = torch.ones(8, 1, 1, 1)
    scale = LatentScale(0 * one, 3 * one, (-1.0, 1.0))
    often = lambda *given, **more: Trainer(*given, save_seconds=-1.0, **more)  # noqa: E731
    monkeypatch.setattr(denoiser, "Trainer", often)

    def run(name, stop=None):
        left, descend = itertools.count(), Trainer.descend

        def killed(self, loss, **record):
            if next(left) == stop:
                raise KeyboardInterrupt
            descend(self, loss, **record)

        stage = open_study(name, "tiny").stage("03_train_otfm", {})
        with monkeypatch.context() as patch:
            patch.setattr(Trainer, "descend", killed)
            return denoiser.train_denoiser(
                stage, objective, Latents(), scale, settings, CPU, kept
            )

    kept = ()
    whole, history = run("whole")
    kept = (2, 3, 5)  # weights that are kept on the way change nothing
    with pytest.raises(KeyboardInterrupt):
        run("parts", stop=3)
    folder = open_study("parts", "tiny").folder / "03_train_otfm"
    third = read_checkpoint(folder / "checkpoint.pt")["average"]
    torch.manual_seed(99)  # nothing depends on the global state
    resumed, again = run("parts")
    assert history == again and len(history["loss"]) == 5
    pairs = zip(whole.state_dict().values(), resumed.state_dict().values())
    assert all(torch.equal(a, b) for a, b in pairs)
    second, on_the_way, last = (
        load_file(folder / denoiser.weights_after(step)) for step in kept
    )
    names = [name for name, _ in whole.named_parameters()]
    assert all(torch.equal(on_the_way[k], w) for k, w in zip(names, third))
    assert any(not torch.equal(second[k], w) for k, w in zip(names, third))
    assert all(torch.equal(last[k], w) for k, w in whole.state_dict().items())


def test_the_setting_of_diffusion_chooses_the_objective():
    z, eps = torch.randn(2, 3, 8, generator=torch.Generator().manual_seed(0))
    t = torch.tensor([0.25, 0.5, 1.0])
    for prediction, name in (("epsilon", "ddpm"), ("v", "ddpm-v")):
        objective = denoiser.diffusion(prediction)
        assert objective.name == name and objective.prediction == prediction
        for steps in (20, 300):
            found = objective.path(z, eps, t, steps)
            wanted = ddpm.path(z, eps, t, steps, prediction)
            assert all(torch.equal(a, b) for a, b in zip(found, wanted))
    with pytest.raises(SkfmError, match="prediction 'x_0'; expected epsilon or v"):
        denoiser.diffusion("x_0")


def test_a_batch_above_the_training_set_is_refused_before_the_stage(project):
    study = open_study("new", "tiny")
    study.stage("02_train_vqvae", {}).finish()
    small = {"latents": Latents(), "batch": 3}
    stage, settings = denoiser.denoiser_stage(study, denoiser.OTFM, **small)
    with pytest.raises(SkfmError, match="batch 3 on 2 device.*set of 4; .*-p batch"):
        denoiser.denoiser_stage(study, denoiser.OTFM, devices=2, **small)
    assert not list(study.folder.glob("03_train_otfm.*"))
    with pytest.raises(SkfmError, match="batch 5 on 1 device"):
        settings = settings.but(batch=5)
        scale = LatentScale(torch.zeros(1), torch.ones(1), None)
        denoiser.train_denoiser(stage, denoiser.OTFM, Latents(), scale, settings, CPU)


def test_devices_are_a_whole_number_from_one(project):
    study = open_study("new", "tiny")
    with pytest.raises(SkfmError, match="devices 0; expected a whole number from 1"):
        denoiser.denoiser_stage(study, denoiser.OTFM, Latents(), 0, batch=1)
