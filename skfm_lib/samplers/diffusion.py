"""Samplers of the diffusion model: ancestral (Ho et al. 2020) and DDIM (Song 2021).

``network(z, t)`` predicts ε or v at state z and time t = τ/T; both samplers use the
x̂_0 and ε̂ that follow from it (`losses.ddpm.data_and_noise`).  With fewer steps than
T, the samplers visit τ = T, T − T/S, … evenly and step between them exactly.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from skfm_lib.losses.ddpm import TIMESTEPS, alpha_bar, data_and_noise
from skfm_lib.utils.errors import SkfmError

Predictor = Callable[[Tensor, float], Tensor]
Bounds = tuple[float, float] | None


def ancestral(
    network: Predictor,
    z: Tensor,
    steps: int = TIMESTEPS,
    clip: Bounds = None,
    fresh: Callable[[int], Tensor] | None = None,
    *,
    prediction: str = "epsilon",
    timesteps: int = TIMESTEPS,
    start: float = 1.0,
) -> Tensor:
    """Sample the posterior q(z_τ' | z_τ, x̂_0) step by step, with its own variance.

    Args:
        network: predicts ε or v.
        z: noise.
        steps: S, at most `start` · T.
        clip: bounds to which the predicted x̂_0 is clamped.
        fresh: ``fresh(i)`` is noise of z's shape for step i, by default from the
            global generator.
        prediction: what the network predicts.
        timesteps: T.
        start: the first time τ/T; z stands for the state there.
    """
    for i, (t, kept, kept_next) in enumerate(schedule(steps, timesteps, start)):
        x_0, _ = _predict(network, z, t, kept, clip, prediction)
        z, variance = posterior(x_0, z, kept, kept_next)
        if i < steps - 1:
            z = z + variance**0.5 * (fresh(i) if fresh else torch.randn_like(z))
    return z


def ddim(
    network: Predictor,
    z: Tensor,
    steps: int = TIMESTEPS,
    clip: Bounds = None,
    *,
    prediction: str = "epsilon",
    timesteps: int = TIMESTEPS,
    start: float = 1.0,
) -> Tensor:
    """The deterministic sampler: z_τ' = √ᾱ' x̂_0 + √(1 − ᾱ') ε̂; see `ancestral`."""
    for t, kept, kept_next in schedule(steps, timesteps, start):
        x_0, eps = _predict(network, z, t, kept, clip, prediction)
        z = kept_next**0.5 * x_0 + (1 - kept_next) ** 0.5 * eps
    return z


def posterior(
    x_0: Tensor, z: Tensor, kept: float, kept_next: float
) -> tuple[Tensor, float]:
    """Mean and variance of q(z_τ' | z_τ, x_0) with ᾱ_τ = kept, ᾱ_τ' = kept_next."""
    alpha = kept / kept_next
    towards_data = kept_next**0.5 * (1 - alpha) / (1 - kept)
    towards_state = alpha**0.5 * (1 - kept_next) / (1 - kept)
    variance = (1 - alpha) * (1 - kept_next) / (1 - kept)
    return towards_data * x_0 + towards_state * z, variance


def schedule(
    steps: int, timesteps: int = TIMESTEPS, start: float = 1.0
) -> Iterator[tuple[float, float, float]]:
    """(t, ᾱ_τ, ᾱ_τ') of every step from τ = start · T down to τ' = 0.

    >>> [round(t, 2) for t, _, _ in schedule(4, timesteps=100)]
    [1.0, 0.75, 0.5, 0.25]
    """
    first = round(timesteps * start)
    if not 1 <= steps <= first <= timesteps:
        found = f"{steps} diffusion steps from {start:g}"
        raise SkfmError(found, f"1 to {first}, from at most 1")
    kept = alpha_bar(timesteps).tolist()
    tau = [round(first * (steps - i) / steps) for i in range(steps + 1)]
    for now, after in zip(tau, tau[1:]):
        yield now / timesteps, kept[now], kept[after]


def _predict(
    network: Predictor,
    z: Tensor,
    t: float,
    kept: float,
    clip: Bounds,
    prediction: str,
) -> tuple[Tensor, Tensor]:
    """(x̂_0, ε̂) at z; ε̂ is recomputed from x̂_0 where that was clamped."""
    x_0, eps = data_and_noise(z, network(z, t), kept, prediction)
    if clip is not None:
        x_0 = x_0.clamp(*clip)
        eps = (z - kept**0.5 * x_0) / (1 - kept) ** 0.5
    return x_0, eps
