"""Membership inference against pair counts, and on networks whose memory is known."""

import numpy as np
import pytest
import torch
from torch import nn

from skfm_lib.evaluation.privacy.membership_inference import (
    attack,
    attack_auc,
    latent_losses,
    reconstruction_errors,
    true_positive_rate,
)
from skfm_lib.generation import SkullGenerator
from skfm_lib.losses import ddpm
from skfm_lib.models import VQVAE
from skfm_lib.presets import preset
from skfm_lib.training.latents import LatentScale
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import noise

CPU = Device(torch.device("cpu"), torch.float32)
SCALE = LatentScale(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1), None)


class Memory(nn.Module):
    """The best velocity for a training set: E[ε − x_0 | z_t] over its latents."""

    def __init__(self, train):
        super().__init__()
        self.train_set = train

    def forward(self, z_t, t, quality):
        x = self.train_set[None]
        eps = (z_t[:, None] - (1 - t) * x) / t
        weight = torch.softmax(-eps.square().flatten(2).sum(-1) / 2, dim=1)
        return (weight[..., None, None, None, None] * (eps - x)).sum(1)


class Honest(nn.Module):
    """The best velocity for the population N(0, I): it has seen no latent."""

    def forward(self, z_t, t, quality):
        return z_t * (t - (1 - t)) / (t**2 + (1 - t) ** 2)


def generator(network, objective="otfm"):
    return SkullGenerator(objective, network, None, SCALE, CPU)


def population(count, seed):
    x = torch.randn(count, 1, 2, 3, 4, generator=torch.Generator().manual_seed(seed))
    return [(z, 3) for z in x]


@pytest.fixture
def sides():
    return population(60, 0), population(80, 1)


def both(network, sides, **settings):
    made = generator(network)
    return [latent_losses(made, s, range(len(s)), **settings) for s in sides]


def test_a_network_that_knows_its_training_set_by_heart_is_told(sides):
    members, others = both(Memory(torch.stack([z for z, _ in sides[0]])), sides)
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
    found = latent_losses(
        generator(Honest(), "ddpm"), sides[0], [4, 7, 9], times=[0.4], batch=2
    )
    for item, value in zip([4, 7, 9], found):
        x_0 = sides[0][item][0][None]
        eps = noise(x_0.shape[1:], "membership", 0.4, samples=[0])
        z_t, target = ddpm.path(x_0, eps, torch.tensor([0.4]))
        expected = (Honest()(z_t, 0.4, None) - target).square().mean()
        assert value == pytest.approx(float(expected), rel=1e-5)


def test_losses_are_means_over_times_and_draws(sides):
    made, items = generator(Honest()), [3, 1, 2]
    single = [latent_losses(made, sides[0], items, times=[t]) for t in (0.2, 0.9)]
    together = latent_losses(made, sides[0], items, times=[0.2, 0.9])
    assert together == pytest.approx(np.mean(single, axis=0))
    more = latent_losses(made, sides[0], items, times=[0.2], noises=3)
    assert more != pytest.approx(single[0])
    assert latent_losses(made, sides[0], items[::-1], times=[0.2])[::-1] == (
        pytest.approx(single[0])
    )


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


def test_the_control_is_the_error_of_reconstruction(phantoms):
    torch.manual_seed(0)
    model = VQVAE(preset("tiny").vqvae).eval()
    found = reconstruction_errors(model, phantoms, [5, 0, 3], CPU, batch=2)
    with torch.no_grad():
        for item, error in zip([5, 0, 3], found):
            v = phantoms[item][0][None]
            v_hat = model.decode(model.quantize(model.encode(v))[0])
            assert error == pytest.approx(float((v - v_hat).abs().mean()), rel=1e-3)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"times": []}, r"times \(\)"),
        ({"times": [0.0, 0.5]}, r"times \(0.0, 0.5\)"),
        ({"noises": 0}, "0 draws"),
        ({"items": []}, "0 skulls"),
    ],
)
def test_bad_looks_are_named(sides, settings, words):
    settings = {"items": [0, 1], **settings}
    with pytest.raises(SkfmError, match=words):
        latent_losses(generator(Honest()), sides[0], **settings)


def test_other_objectives_and_nan_are_refused(sides):
    with pytest.raises(SkfmError, match="'shortcut'.*otfm or ddpm"):
        latent_losses(generator(Honest(), "shortcut"), sides[0], [0])
    with pytest.raises(SkfmError, match="NaN"):
        attack(np.array([1.0, np.nan]), np.array([1.0, 2.0]))
    with pytest.raises(SkfmError, match="at least 2"):
        attack(np.array([1.0]), np.array([1.0, 2.0]))
