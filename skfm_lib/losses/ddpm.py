"""Denoising diffusion: the cosine schedule, and the noise or a velocity as target.

Ho et al. 2020 with the schedule of Nichol & Dhariwal 2021, as in the code the paper
builds on (Khader et al. 2023); T = 300 steps, time t = τ/T with τ = 0 … T.  The
network predicts ε, as there, or v = √ᾱ_t ε − √(1 − ᾱ_t) x_0 (Salimans & Ho 2022).
"""

import math

import torch
from jaxtyping import Float
from torch import Tensor

from skfm_lib.utils.errors import SkfmError

TIMESTEPS = 300  # T, paper Table 7
OFFSET = 0.008  # s of the cosine schedule
MAX_BETA = 0.9999
PREDICTIONS = ("epsilon", "v")  # the first is the paper's


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
    timesteps: int = TIMESTEPS,
    prediction: str = "epsilon",
) -> tuple[Tensor, Tensor]:
    """(z_t, target): z_t = √ᾱ_t x_0 + √(1 − ᾱ_t) ε, and what is to be predicted.

    The target is ε, or v = √ᾱ_t ε − √(1 − ᾱ_t) x_0.  t is rounded to a multiple of
    1/T, with T = `timesteps`.
    """
    check_prediction(prediction)
    tau = (t * timesteps).round().long()
    kept = alpha_bar(timesteps).to(t.device)[tau].view(-1, *[1] * (x_0.dim() - 1))
    a, b = kept.sqrt().to(x_0), (1 - kept).sqrt().to(x_0)
    return a * x_0 + b * eps, eps if prediction == "epsilon" else a * eps - b * x_0


def data_and_noise(
    z_t: Tensor, predicted: Tensor, kept: float, prediction: str = "epsilon"
) -> tuple[Tensor, Tensor]:
    """(x̂_0, ε̂) that a prediction at z_t implies, with ᾱ_t = kept.

    From ε̂: x̂_0 = (z_t − √(1 − ᾱ_t) ε̂) / √ᾱ_t.  From v̂: x̂_0 = √ᾱ_t z_t − √(1 − ᾱ_t) v̂
    and ε̂ = √(1 − ᾱ_t) z_t + √ᾱ_t v̂, without a division.

    >>> z, _ = path(torch.ones(1, 2), torch.zeros(1, 2), torch.tensor([0.5]))
    >>> kept = alpha_bar()[150].item()
    >>> data_and_noise(z, torch.zeros(1, 2), kept)
    (tensor([[1., 1.]]), tensor([[0., 0.]]))
    """
    check_prediction(prediction)
    a, b = kept**0.5, (1 - kept) ** 0.5
    if prediction == "v":
        return a * z_t - b * predicted, b * z_t + a * predicted
    return (z_t - b * predicted) / a, predicted


def check_prediction(prediction: str) -> None:
    """Raise SkfmError unless `prediction` is one that a diffusion model can have."""
    if prediction not in PREDICTIONS:
        raise SkfmError(f"prediction {prediction!r}", " or ".join(PREDICTIONS))
