"""The times t at which a denoiser is trained."""

import torch
from jaxtyping import Float
from torch import Tensor


def logit_normal(
    count: int,
    mean: float,
    timesteps: int,
    rng: torch.Generator,
    start: float = 1.0,
) -> Float[Tensor, " {count}"]:
    """Times with logit t ~ N(m, 1), m = `mean`, rounded to {1/T … 1} (T = timesteps).

    Times beyond `start` are not drawn; the others keep their proportions, so that those
    just below it, where a sampler begins, are not rare.

    Stratified: one time of a batch lies in each of `count` equally probable intervals,
    in random order.

    For latents of D values, m = ln √(D / 4096) (Zheng et al. 2025, after Esser et al.
    2024): of more values, more survives the same noise.  On the path of a flow, logit t
    is the logarithm of noise over data, and a sampler's ``shift`` = e^m adds m to the
    logit of its times.  Diffusion is trained at the same t, which there means another
    ratio.
    """
    strata = torch.randperm(count, generator=rng)
    quantiles = (strata + torch.rand(count, generator=rng)) / count
    quantiles = quantiles * torch.special.ndtr(torch.logit(torch.tensor(start)) - mean)
    t = torch.sigmoid(mean + torch.special.ndtri(quantiles))
    return (t * timesteps).round().clamp(1, round(start * timesteps)) / timesteps
