"""Denoising diffusion: the cosine schedule and the noise as target.

Ho et al. 2020 with the schedule of Nichol & Dhariwal 2021, as in the code the paper
builds on (Khader et al. 2023); T = 300 steps, time t = τ/T with τ = 0 … T.
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

TIMESTEPS = 300  # T, paper Table 7
OFFSET = 0.008  # s of the cosine schedule
MAX_BETA = 0.9999


def alpha_bar(timesteps: int = TIMESTEPS) -> Float[Tensor, " {timesteps}+1"]:
    """ᾱ_0 … ᾱ_T: share of the data's variance left; ᾱ_0 = 1, float64."""
    tau = torch.arange(timesteps + 1, dtype=torch.float64) / timesteps
    cosine = torch.cos((tau + OFFSET) / (1 + OFFSET) * math.pi / 2) ** 2
    beta = (1 - cosine[1:] / cosine[:-1]).clamp(max=MAX_BETA)
    return torch.cat([torch.ones(1, dtype=torch.float64), (1 - beta).cumprod(0)])


def path(
    x_0: Float[Tensor, " b *shape"],
    eps: Float[Tensor, " b *shape"],
    t: Float[Tensor, " b"],
) -> tuple[Tensor, Tensor]:
    """(z_t, ε): z_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε; the target is the noise itself."""
    tau = (t * TIMESTEPS).round().long()
    kept = alpha_bar().to(t.device)[tau].view(-1, *[1] * (x_0.dim() - 1))
    return kept.sqrt().to(x_0) * x_0 + (1 - kept).sqrt().to(x_0) * eps, eps
