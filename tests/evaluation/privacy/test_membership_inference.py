"""Membership inference against pair counts, and on networks whose memory is known."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.evaluation.privacy.membership_inference import (
    attack,
    attack_auc,
    latent_losses,
    true_positive_rate,
)
from skfm_lib.generation import SkullGenerator
from skfm_lib.losses import ddpm
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import noise

CPU = Device(torch.device("cpu"), torch.float32)
TIMES = [i / 10 for i in range(1, 10)]
SCALE = LatentScale(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), None)


class Memory(UNet3D):
    """The best velocity for a training set: E[ε − x_0 | z_t] over its latents."""

    def __init__(self, train):
        nn.Module.__init__(self)
        self.train_set = train

    def forward(self, z_t, t, quality):
        x = self.train_set[None]
        eps = (z_t[:, None] - (1 - t) * x) / t
        weight = torch.softmax(-eps.square().flatten(2).sum(-1) / 2, dim=1)
        return (weight[..., None, None, None, None] * (eps - x)).sum(1)


class Honest(UNet3D):
    """The best velocity for the population N(0, I): it has seen no latent."""

    def __init__(self):
        nn.Module.__init__(self)

    def forward(self, z_t, t, quality):
        return z_t * (t - (1 - t)) / (t**2 + (1 - t) ** 2)


def generator(network, objective="otfm"):
    vqvae = VQVAE(preset("tiny").vqvae)
    return SkullGenerator(objective, network, vqvae, SCALE, CPU)


class Latents(LatentSet):
    """Latents that are held in memory, of quality score 3."""

    def __init__(self, z):
        self.z = z

    def __len__(self):
        return len(self.z)

    def __getitem__(self, index):
        return self.z[index], 3


def population(count, seed):
    rng = torch.Generator().manual_seed(seed)
    return Latents(torch.randn(count, 1, 2, 3, 4, generator=rng))


@pytest.fixture
def sides():
    return population(60, 0), population(80, 1)


def both(network, sides):
    return [latent_losses(generator(network), s, TIMES) for s in sides]


def test_a_network_that_has_memorised_its_training_set_is_found(sides):
    members, others = both(Memory(sides[0].z), sides)
    assert attack_auc(members, others) > 0.99
    found = attack(members, others)
    assert found["AUC"].low > 0.98 and found["TPR at 1 % FPR"].value > 0.9


def test_a_network_that_knows_the_population_gives_nothing_away(sides):
    found = attack(*both(Honest(), sides))
    assert found["AUC"].low < 0.5 < found["AUC"].high
    assert found["AUC"].value == pytest.approx(0.5, abs=0.1)
    assert found["TPR at 1 % FPR"].value < 0.1


def test_the_loss_is_that_of_training(sides):
    # ddpm at one time and noise, by hand; each skull sees the same noise
    some = Latents(sides[0].z[:5])
    found = latent_losses(generator(Honest(), "ddpm"), some, [0.4], batch=2)
    assert len(found) == 5
    for x_0, value in zip(some.z[:, None], found):
        eps = noise(x_0.shape[1:], "membership", 0.4, samples=[0])
        z_t, target = ddpm.path(x_0, eps, torch.tensor([0.4]))
        expected = (Honest()(z_t, 0.4, None) - target).square().mean()
        assert value == pytest.approx(float(expected), rel=1e-5)


def test_a_model_is_given_the_field_of_view_of_each_skull(sides):
    seen = []

    class Seeing(Honest):
        def forward(self, z_t, t, quality, field_of_view):
            seen.append(field_of_view)
            return super().forward(z_t, t, quality)

    some = Latents(sides[0].z[:5])
    some.fields_of_view = torch.arange(10.0).view(5, 2)
    made = replace(generator(Seeing()), fields=FieldsOfView({}))
    found = latent_losses(made, some, [0.4], batch=2)
    assert torch.equal(torch.cat(seen), some.fields_of_view)
    assert np.array_equal(found, latent_losses(generator(Honest()), some, [0.4], 2))


def test_losses_are_means_over_times(sides):
    made = generator(Honest())
    single = [latent_losses(made, sides[0], [t]) for t in (0.2, 0.9)]
    together = latent_losses(made, sides[0], [0.2, 0.9])
    assert together == pytest.approx(np.mean(single, axis=0))


def test_auc_is_the_count_of_pairs():
    rng = np.random.default_rng(0)
    members, others = rng.integers(9, size=40), rng.integers(2, 11, size=30)
    wins = [(m < o) + 0.5 * (m == o) for m in members for o in others]
    assert attack_auc(members, others) == pytest.approx(np.mean(wins))
    assert attack_auc(members, members) == pytest.approx(0.5)
    assert attack_auc(np.array([1.0, 2]), np.array([3.0])) == 1


@pytest.mark.parametrize("count", [40, 250])
def test_the_true_positive_rate_is_the_best_threshold_allowed(count):
    rng = np.random.default_rng(1)
    members, others = rng.normal(-2, 1, 90), rng.normal(size=count)
    best = 0
    for threshold in [*members, *others, np.inf]:
        if np.mean(others < threshold) <= 0.01:
            best = max(best, np.mean(members < threshold))
    assert true_positive_rate(members, others) == best > 0


@pytest.mark.parametrize("times", [[], [0.0, 0.5]])
def test_times_outside_the_path_are_refused(sides, times):
    with pytest.raises(SkfmError, match=r"times \(.*in \(0, 1\]"):
        latent_losses(generator(Honest()), sides[0], times)


def test_other_objectives_and_nan_are_refused(sides):
    with pytest.raises(SkfmError, match="'shortcut'.*otfm or ddpm"):
        latent_losses(generator(Honest(), "shortcut"), sides[0], [0.5])
    with pytest.raises(SkfmError, match="NaN"):
        attack(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(SkfmError, match="at least 2"):
        attack(np.array([1.0]), np.array([1.0, 2.0]))


def test_times_before_the_start_of_a_flow_are_refused(sides):
    """A flow with a linear start is not trained beyond that time."""
    made = replace(generator(Honest()), start=0.5)
    with pytest.raises(SkfmError, match=r"in \(0, 0.5\]"):
        latent_losses(made, sides[0], [0.3, 0.7])
    assert len(latent_losses(made, sides[0], [0.3])) == 60
