"""The linear shape model that a flow begins with: its settings and its file."""

import math
from pathlib import Path

from skfm_lib import presets
from skfm_lib.models import LinearShapeModel
from skfm_lib.study import Stage
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.linear_fit import fit_linear
from skfm_lib.utils.errors import SkfmError

LINEAR = "linear_start.safetensors"


def check_start(
    settings: presets.DenoiserConfig, diffusion: str = "", symmetric: float = 0.0
) -> None:
    """Raise SkfmError for a linear start that does not fit the other settings.

    Args:
        settings: of the network and its objective.
        diffusion: the name of the model if it is no flow.
        symmetric: the time at which its skulls are made symmetric; 0: never.
    """
    given = f"components {settings.components}, start {settings.start:g}"
    if settings.components and diffusion:
        raise SkfmError(
            f"{given} with {diffusion}",
            "components 0; only a flow can begin with the linear model",
            "leave out components and start",
        )
    if (settings.components > 0) != (settings.start < 1):
        expected = "components and a start below 1, or neither"
        raise SkfmError(given, expected, "such as -p components 64 -p start 0.6")
    if round(settings.timesteps * settings.start) < 1:
        least = 1 / settings.timesteps
        raise SkfmError(given, f"a start of at least 1/T = {least:.4f}")
    if settings.start <= symmetric:
        expected = f"a time above {symmetric:g}, at which its skulls are made symmetric"
        raise SkfmError(f"start {settings.start:g} of ours", expected)


def save_linear(
    stage: Stage,
    settings: presets.DenoiserConfig,
    latents: LatentSet,
    scale: LatentScale,
    mirrored: LatentSet | None,
) -> None:
    """Fit the linear shape model that the flow begins with, once."""
    path, shape = stage.folder / LINEAR, stage.study.settings.vqvae.output_shape
    if not path.is_file():
        grid = shape if settings.field_of_view else None
        model = fit_linear(latents, scale, settings.components, grid, mirrored)
        save_weights(model, path, {"components": settings.components})


def load_linear(
    path: Path, settings: presets.DenoiserConfig, vqvae: presets.VQVAEConfig
) -> LinearShapeModel:
    """The linear shape model that a flow begins with, from its file (`LINEAR`)."""
    slices = vqvae.latent_shape[-1]
    size = settings.code_dim * math.prod(vqvae.latent_shape)
    knots = slices if settings.field_of_view else 0
    model = LinearShapeModel(size, settings.components, knots)
    load_weights(model, path)
    return model
