"""Attacks on the linear shape model that a flow begins with (`LinearShapeModel`).

It is fitted to the training skulls by algebra, in closed form; whoever has the weights
has its components, and needs no network to attack them.
"""

import numpy as np
import torch
from torch import Tensor

from skfm_lib.generation import SkullGenerator
from skfm_lib.models import LinearShapeModel
from skfm_lib.training.latents import LatentSet
from skfm_lib.utils.errors import SkfmError

LEAST = 1e-6  # of a remaining variance, of latents whose variance is about 1


def linear_of(generator: SkullGenerator) -> LinearShapeModel:
    """The linear start of a model; SkfmError for one that begins from noise."""
    if generator.linear is None:
        found = f"{generator.objective} has no linear start"
        raise SkfmError(found, "a model with components", "skfm run 17")
    return generator.linear


def misfits(generator: SkullGenerator, latents: LatentSet) -> np.ndarray:
    """How badly the linear start fits each of the `latents`, (n,) float64.

    The mean over the numbers of r² / ψ, where r is what mean and components leave.  It
    is lower for skulls to which components were fitted.

    Raises:
        SkfmError: for a model without a linear start.
    """
    linear, found = linear_of(generator), []
    for item in range(len(latents)):
        z, quality = latents[item]
        x = generator.device.to_device(generator.scale.normalise(z[None]).flatten(1))
        seen = latents.fields_of_view[[item]] if len(linear.knots) else None
        centred = x - linear.mean(torch.tensor([quality]), seen)
        rest = centred - (centred @ linear.components.T) @ linear.components
        found.append((rest.double().square() / _rest(linear)).mean().item())
    return np.array(found)


def posterior_mean(
    linear: LinearShapeModel,
    x: Tensor,
    known: Tensor,
    quality: Tensor,
    fields: Tensor | None,
) -> Tensor:
    """E[x_0 | its known numbers] (b, n), for x (b, n) known where `known` (n,) is True.

    With x_0 = m + W a + √ψ ε, a ~ N(0, I) and W = √λ u (`LinearShapeModel`, its noise
    along the components neglected): a = (I + Wᵀ ψ⁻¹ W)⁻¹ Wᵀ ψ⁻¹ (x − m) over the known
    numbers.
    """
    mean = linear.mean(quality, fields).double()
    w = (linear.components.T * linear.variances.sqrt()).double()
    weighted = w[known] / _rest(linear)[known, None]
    one = torch.eye(w.shape[1], dtype=w.dtype, device=w.device)
    system = one + weighted.T @ w[known]
    a = torch.linalg.solve(system, weighted.T @ (x.double() - mean)[:, known].T)
    return torch.where(known, x.double(), mean + (w @ a).T).to(x.dtype)


def _rest(linear: LinearShapeModel) -> Tensor:
    return linear.rest.double().clamp(min=LEAST)
