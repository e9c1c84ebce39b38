"""The spread of sampled latents, of networks whose samples are known."""

from dataclasses import replace

import pytest
import torch

from skfm_lib.evaluation.diffusion_baseline.start import spread
from skfm_lib.generation import SkullGenerator
from skfm_lib.losses import ddpm
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.samplers import Sampler
from skfm_lib.training.latents import LatentScale
from skfm_lib.utils.device import Device

TINY = preset("tiny")
SCORES = [2, 3, 4, 5, 6] * 8  # of which 20 are measured


def silent(model, bounds=None):
    """A generator whose network answers 0: x̂_0 = z / √ᾱ by ε, and √ᾱ z by v."""
    one = torch.ones(TINY.vqvae.code_dim, 1, 1, 1)
    scale = LatentScale(3 * one, 2 * one, bounds)
    network = UNet3D(TINY.denoiser.but(width=8))
    network.forward = lambda z, *given: torch.zeros_like(z)
    device = Device(torch.device("cpu"), torch.float32)
    return SkullGenerator(model, network, VQVAE(TINY.vqvae), scale, device)


@pytest.mark.parametrize("tau", [300, 299, 150])
def test_one_step_has_the_spread_of_the_implied_data(tau):
    signal = ddpm.alpha_bar()[tau].sqrt().item()
    sampler = Sampler("ancestral", 1, start=tau / 300)
    by_noise = spread(silent("ddpm"), SCORES, sampler, seed=0)
    by_velocity = spread(silent("ddpm-v"), SCORES, sampler, seed=0)
    assert by_noise == pytest.approx(1 / signal, rel=0.05)
    assert by_velocity == pytest.approx(signal, rel=0.05)


def test_bounds_limit_the_spread():
    sampler = Sampler("ancestral", 1)
    assert spread(silent("ddpm"), SCORES, sampler, 0) > 10_000
    limited = silent("ddpm", (-2.0, 2.0))
    assert spread(limited, SCORES, sampler, 0) == pytest.approx(2, rel=0.01)
    free = replace(limited, scale=replace(limited.scale, bounds=None))
    assert spread(free, SCORES, sampler, 0) > 10_000


def test_the_noise_depends_on_the_seed():
    sampler = Sampler("ancestral", 1)
    first, same, other = (
        spread(silent("ddpm-v"), SCORES, sampler, s) for s in (0, 0, 1)
    )
    assert first == same != other
