"""Why predicting ε fails near t = 1: the error of the data that a network implies.

With ᾱ_t near 0, x̂_0 = (z_t − √(1 − ᾱ_t) ε̂) / √ᾱ_t has √((1 − ᾱ_t) / ᾱ_t) times the
error of ε̂; the v-prediction's x̂_0 = √ᾱ_t z_t − √(1 − ᾱ_t) v̂ has √(1 − ᾱ_t) times
that of v̂.
"""

from collections.abc import Callable, Sequence
from itertools import repeat

import pandas as pd
import torch
from torch import Tensor

from skfm_lib.generation import SkullGenerator
from skfm_lib.losses import ddpm
from skfm_lib.training.latents import LatentSet
from skfm_lib.utils.seeding import noise


@torch.no_grad()
def data_errors(
    network: Callable[[Tensor, float], Tensor],
    x_0: Tensor,
    times: Sequence[int],
    prediction: str = "epsilon",
    timesteps: int = ddpm.TIMESTEPS,
    clip: tuple[float, float] | None = None,
) -> pd.DataFrame:
    """Root mean squared errors of a diffusion network, one row per time.

    Args:
        network: as for the samplers; it predicts ε or v.
        x_0: data (n, …), on the scale of the network.
        times: τ from 1 to T; the noise differs between them and between samples, and
            is the same for all networks.
        prediction: what the network predicts.
        timesteps: T.
        clip: bounds of x̂_0 in the samplers.

    Returns:
        Columns ``t`` = τ/T; ``signal`` = √ᾱ_t; ``target``, the error of the predicted
        quantity; ``free``, that of x̂_0; ``clamped``, that of x̂_0 within the bounds.
    """
    kept_at, rows = ddpm.alpha_bar(timesteps), []
    for tau in times:
        t, kept = tau / timesteps, kept_at[tau].item()
        eps = noise(x_0.shape[1:], "data error", tau, samples=list(range(len(x_0))))
        given = x_0, eps.to(x_0), torch.full((len(x_0),), t), timesteps, prediction
        z_t, target = ddpm.path(*given)
        predicted = network(z_t, t)
        free, _ = ddpm.data_and_noise(z_t, predicted, kept, prediction)
        compared = {
            "target": predicted - target,
            "free": free - x_0,
            "clamped": (free.clamp(*clip) if clip else free) - x_0,
        }
        errors = {name: _rms(error) for name, error in compared.items()}
        rows.append({"t": t, "signal": kept**0.5, **errors})
    return pd.DataFrame(rows)


def errors_of(
    generator: SkullGenerator, latents: LatentSet, times: Sequence[int], batch: int
) -> pd.DataFrame:
    """`data_errors` of a trained diffusion model on latents, `batch` at a time."""
    z, quality = zip(*(latents[i] for i in range(len(latents))))
    seen = latents.fields_of_view.split(batch) if generator.fields else repeat(None)
    parts = zip(torch.tensor(quality).split(batch), seen)
    fields = [generator.field(part, 1.0, own) for part, own in parts]

    def network(z_t: Tensor, t: float) -> Tensor:
        parts = zip(fields, z_t.split(batch))
        return torch.cat([f(generator.device.to_device(z), t).cpu() for f, z in parts])

    return data_errors(
        network,
        generator.scale.normalise(torch.stack(z)),
        times,
        generator.prediction,
        generator.timesteps,
        generator.scale.bounds,
    )


def _rms(x: Tensor) -> float:
    return x.double().square().mean().sqrt().item()
