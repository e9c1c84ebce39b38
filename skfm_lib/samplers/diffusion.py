"""Samplers of the diffusion model: ancestral (Ho et al. 2020) and DDIM (Song 2021).

``noise(z, t)`` predicts ε at state z and time t = τ/T.  With fewer steps than T, the
samplers visit τ = T, T − T/S, … evenly and step between them exactly.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from skfm_lib.losses.ddpm import TIMESTEPS, alpha_bar
from skfm_lib.utils.errors import SkfmError

Predictor = Callable[[Tensor, float], Tensor]
Bounds = tuple[float, float] | None


def ancestral(
    noise: Predictor,
    z: Tensor,
    steps: int = TIMESTEPS,
    clip: Bounds = None,
    fresh: Callable[[int], Tensor] | None = None,
) -> Tensor:
    """Sample the posterior q(z_τ' | z_τ, x̂_0) step by step, with its own variance.

    The predicted x̂_0 is clamped to the bounds `clip`.  ``fresh(i)`` is noise of z's
    shape for step i, by default from the global generator.
    """
    for i, (t, kept, kept_next) in enumerate(_schedule(steps)):
        x_0, _ = _predict(noise, z, t, kept, clip)
        z, variance = posterior(x_0, z, kept, kept_next)
        if i < steps - 1:
            z = z + variance**0.5 * (fresh(i) if fresh else torch.randn_like(z))
    return z


def ddim(
    noise: Predictor, z: Tensor, steps: int = TIMESTEPS, clip: Bounds = None
) -> Tensor:
    """The deterministic sampler: z_τ' = √ᾱ' x̂_0 + √(1 − ᾱ') ε̂."""
    for t, kept, kept_next in _schedule(steps):
        x_0, eps = _predict(noise, z, t, kept, clip)
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


def _schedule(steps: int) -> Iterator[tuple[float, float, float]]:
    """(t, ᾱ_τ, ᾱ_τ') of every step from τ = T down to τ' = 0."""
    if not 1 <= steps <= TIMESTEPS:
        raise SkfmError(f"{steps} diffusion steps", f"1 to {TIMESTEPS}")
    kept = alpha_bar().tolist()
    tau = [round(TIMESTEPS * (steps - i) / steps) for i in range(steps + 1)]
    for now, after in zip(tau, tau[1:]):
        yield now / TIMESTEPS, kept[now], kept[after]


def _predict(
    noise: Predictor, z: Tensor, t: float, kept: float, clip: Bounds
) -> tuple[Tensor, Tensor]:
    """(x̂_0, ε̂) at z; ε̂ is recomputed from x̂_0 where that was clamped."""
    eps = noise(z, t)
    x_0 = (z - (1 - kept) ** 0.5 * eps) / kept**0.5
    if clip is not None:
        x_0 = x_0.clamp(*clip)
        eps = (z - kept**0.5 * x_0) / (1 - kept) ** 0.5
    return x_0, eps
