"""Switches of the denoiser's training: off they change nothing, on they resume."""

import itertools
import json
import math

import pytest
import torch
from safetensors.torch import load_file
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.losses import otfm
from skfm_lib.models import UNet3D
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training import denoiser
from skfm_lib.training.averages import exponential, power_function
from skfm_lib.training.latents import LatentScale, LatentSet, latent_batch
from skfm_lib.training.memory_plan import denoiser_step
from skfm_lib.training.trainer import Trainer, learning_rate
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import generator, seed_of

CPU = Device(torch.device("cpu"), torch.float32)
SETTINGS = preset("tiny").denoiser.but(
    steps=4, batch=3, width=8, label_dropout=0.3, heads=1
)
SCALE = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
SWITCHES = (
    {"time_mean": 0.59},
    {"average_lengths": [0.1, 0.05]},
    {"optimizer": "muon"},
)


class Latents(LatentSet):
    """Four random latents with their quality scores."""

    def __init__(self):
        pass

    def __len__(self):
        return 4

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return torch.randn(8, 4, 4, 4, generator=rng), 2 + index


def train(run, settings, objective=denoiser.OTFM):
    """The stage's folder, the network and its losses."""
    stage = open_study(run, "tiny").stage("03_train_otfm", {})
    given = stage, objective, Latents(), SCALE, settings, CPU
    return stage.folder, *denoiser.train_denoiser(*given)


def test_switches_that_are_off_are_not_in_the_record():
    names = {name for switch in SWITCHES for name in switch}
    for name in presets.NAMES:
        assert not names & set(preset(name).denoiser.as_dict())
    on = SETTINGS.but(**SWITCHES[0], **SWITCHES[1], **SWITCHES[2])
    assert names < set(on.as_dict())
    again = SETTINGS.but(**json.loads(json.dumps(on.as_dict())))
    assert again == on


def by_hand(settings, decays, times):
    """A training of the flow without the library's loop: its averages and losses."""
    seed = seed_of(0, "denoiser")
    torch.manual_seed(seed)
    network = CPU.to_device(UNet3D(settings))
    weights, losses = list(network.parameters()), []
    adam = torch.optim.Adam(weights, 1.0, betas=settings.betas, fused=True)
    averages = [[w.detach().clone() for w in weights] for _ in decays]
    for step in range(settings.steps):
        x_0, eps, quality = latent_batch(Latents(), SCALE, seed, step, 3)
        rng = generator(seed, "t", step)
        tau = torch.randint(1, 301, (3,), generator=rng)
        quality[torch.rand(3, generator=rng) < settings.label_dropout] = 0
        t = times(tau / 300, rng)
        z_t, target = otfm.path(x_0, eps, t)
        loss = F.mse_loss(network(CPU.to_device(z_t), t, quality), target)
        adam.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(weights, 1.0)
        adam.param_groups[0]["lr"] = learning_rate(settings, step)
        adam.step()
        losses.append(loss.item())
        for decay, average in zip(decays, averages):
            for mean, weight in zip(average, weights):
                mean.lerp_(weight.detach(), 1 - decay(step))
    return averages, losses


def uniform(t, rng):
    return t


def test_with_all_switches_off_training_is_as_without_them(project):
    settings = SETTINGS.but(steps=2)
    _, network, history = train("off", settings)
    averages, losses = by_hand(
        settings, [lambda step: (1 + step) / (10 + step)], uniform
    )
    assert history["loss"] == losses
    pairs = zip(network.parameters(), averages[0])
    assert all(torch.equal(a, b) for a, b in pairs)


def test_power_function_averages_are_saved_beside_the_model(project):
    settings = SETTINGS.but(steps=3, average_lengths=(0.1, 0.05, 0.2))
    folder, network, history = train("averages", settings)
    decays = list(map(power_function, settings.average_lengths))
    averages, losses = by_hand(settings, decays, uniform)
    assert history["loss"] == losses
    files = denoiser.average_files(settings.average_lengths)
    assert files == [
        "denoiser.safetensors",
        "denoiser-average-0.05.safetensors",
        "denoiser-average-0.2.safetensors",
    ]
    names = [name for name, _ in network.named_parameters()]
    for average, file in zip(averages, files):
        found = load_file(folder / file)
        assert all(torch.equal(found[k], w) for k, w in zip(names, average))
    model = load_file(folder / files[0])
    assert all(torch.equal(model[k], w) for k, w in network.state_dict().items())
    assert not torch.equal(averages[0][0], averages[1][0])


def test_the_times_are_drawn_after_the_labels(project):
    settings = SETTINGS.but(steps=2, time_mean=0.59)

    def logit_normal(_, rng):
        strata = torch.randperm(3, generator=rng)
        quantiles = (strata + torch.rand(3, generator=rng)) / 3
        t = torch.sigmoid(0.59 + math.sqrt(2) * torch.erfinv(2 * quantiles - 1))
        return (300 * t).round().clamp(1, 300) / 300

    losses = by_hand(settings, [], logit_normal)[1]
    assert train("times", settings)[2]["loss"] == losses


@pytest.mark.parametrize("switch", SWITCHES, ids=str)
def test_a_killed_training_resumes_bit_for_bit(project, monkeypatch, switch):
    settings, left = SETTINGS.but(**switch), itertools.count()
    folder, whole, history = train("whole", settings)
    descend = Trainer.descend

    def killed(self, loss, **record):
        if next(left) == 2:
            raise KeyboardInterrupt
        descend(self, loss, **record)

    def often(*given, **options):
        return Trainer(*given, save_seconds=-1.0, **options)

    monkeypatch.setattr(denoiser, "Trainer", often)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "descend", killed)
        with pytest.raises(KeyboardInterrupt):
            train("parts", settings)
    parts, resumed, again = train("parts", settings)
    assert history == again and len(history["loss"]) == 4
    for file in denoiser.average_files(settings.average_lengths):
        one, two = load_file(folder / file), load_file(parts / file)
        assert all(torch.equal(one[name], two[name]) for name in one)
    _, plain, _ = train("plain", SETTINGS)
    pairs = zip(whole.parameters(), plain.parameters())
    assert any(not torch.equal(a, b) for a, b in pairs)  # the switch does something


@pytest.mark.parametrize("mean", [None, 0.59])
def test_devices_share_the_times_and_labels_of_one_batch(monkeypatch, mean):
    settings, labels = SETTINGS.but(time_mean=mean), torch.arange(8) % 5 + 2
    whole = denoiser._times_and_labels(labels, settings, 0, 3)
    parts = []
    monkeypatch.setattr(distributed, "devices", lambda: 2)
    for rank in (0, 1):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        own = distributed.share(labels)
        parts.append(denoiser._times_and_labels(own, settings, 0, 3))
    for one, two in zip(whole, map(torch.cat, zip(*parts))):
        assert torch.equal(one, two)


def test_labels_are_dropped_alike_for_every_distribution_of_times():
    labels = torch.full((64,), 4)
    plain = denoiser._times_and_labels(labels, SETTINGS, 0, 3)
    shifted = denoiser._times_and_labels(labels, SETTINGS.but(time_mean=1.0), 0, 3)
    assert torch.equal(plain[1], shifted[1]) and 0 < (plain[1] == 0).sum() < 64
    assert not torch.equal(plain[0], shifted[0])


@pytest.mark.parametrize("objective", [denoiser.DDPM, denoiser.DDPM_V])
def test_diffusion_takes_the_same_times(project, objective):
    _, _, history = train(objective.name, SETTINGS.but(time_mean=0.59), objective)
    assert len(history["loss"]) == 4


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("time_mean", float("nan"), "time_mean = nan; expected a number or None"),
        ("time_mean", float("inf"), "time_mean = inf"),
        ("average_lengths", [0.1, 0.0], "each a number from 0.001 to 0.28"),
        ("average_lengths", [-0.1], "average_lengths = "),
        ("average_lengths", [0.29], "average_lengths = "),
        ("average_lengths", [float("nan")], "average_lengths = "),
        ("optimizer", "sgd", "optimizer = 'sgd'; expected 'adam' or 'muon'"),
    ],
)
def test_values_out_of_range_are_named(name, value, expected):
    with pytest.raises(SkfmError, match=expected):
        SETTINGS.but(**{name: value})


def test_further_averages_are_in_the_memory_plan():
    one = denoiser_step(SETTINGS, (4, 4, 4)).weights
    three = SETTINGS.but(average_lengths=(0.1, 0.05, 0.2))
    assert denoiser_step(three, (4, 4, 4)).weights == one * 7 / 5


def test_another_average_of_a_training_is_that_of_a_training_with_it(project):
    """Each of the two trainings has the other's average, bit for bit."""
    power = SETTINGS.but(average_lengths=[0.1])
    decays = exponential(SETTINGS.ema_decay), power_function(0.1)
    weights = {}
    for run, settings, other in (("a", SETTINGS, 1), ("b", power, 0)):
        stage = open_study(run, "tiny").stage("03_train_otfm", {})
        given = stage, denoiser.OTFM, Latents(), SCALE, settings, CPU
        denoiser.train_denoiser(*given, (), {"other.safetensors": decays[other]})
        for file in (denoiser.WEIGHTS, "other.safetensors"):
            weights[run, file] = load_file(stage.folder / file)
    for name in weights["a", denoiser.WEIGHTS]:
        for one, two in (("a", "b"), ("b", "a")):
            own = weights[one, denoiser.WEIGHTS][name]
            assert torch.equal(own, weights[two, "other.safetensors"][name])
    a, b = (weights[run, denoiser.WEIGHTS]["out.weight"] for run in "ab")
    assert not torch.equal(a, b)
