"""The models that a study has trained, as generators."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from skfm_lib import presets, samplers
from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.generation.generator import SkullGenerator
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.samplers import Sampler
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import load_weights
from skfm_lib.training.denoiser import OBJECTIVES, OURS, WEIGHTS
from skfm_lib.training.latents import LatentScale
from skfm_lib.training.linear_start import LINEAR, load_linear
from skfm_lib.training.vqvae import load_vqvae
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SkfmError

STAGES = {name: objective.stage for name, objective in OBJECTIVES.items()}
STAGES["shortcut"] = stage_names.FEW_STEPS
LABELS = {name: objective.label for name, objective in OBJECTIVES.items()}
LABELS["shortcut"] = "shortcut"  # of every model, for tables and figures
SYMMETRIC = (OURS.name, "shortcut")  # in two steps or more
FEW_STEPS = 4  # default steps of a shortcut model


def load_generator(study: Study, objective: str) -> SkullGenerator:
    """The generator that a study trained by `objective`, one of `STAGES`."""
    if objective not in STAGES:
        raise SkfmError(f"model {objective!r}", " or ".join(STAGES))
    return generator_of(study.finished(STAGES[objective]), objective)


def generator_of(stage: Stage, objective: str, file: str = WEIGHTS) -> SkullGenerator:
    """The generator whose network's weights are in a `file` of a training's folder."""
    device, settings = pick_device(), network_settings(stage, objective)
    network = UNet3D(settings, leaps=objective == "shortcut")
    known = ("fields_of_view",) if settings.field_of_view else ()
    about = load_weights(network, stage.folder / file, "scale", *known)
    network = device.to_device(network).eval()
    vqvae = load_vqvae(stage.study, device)
    return assembled(stage, objective, network, vqvae, about)


def network_settings(stage: Stage, objective: str) -> presets.DenoiserConfig:
    """The settings of the network that a stage trains by `objective`."""
    group = OBJECTIVES[objective].group if objective in OBJECTIVES else "denoiser"
    return stage.study.settings.denoiser.but(**stage.settings[group])


def assembled(
    stage: Stage,
    objective: str,
    network: UNet3D,
    vqvae: VQVAE,
    about: Mapping[str, Any],
) -> SkullGenerator:
    """The generator of a network, on its device, by what its stage has.

    `about` is `denoiser.about_weights`.
    """
    device, study = pick_device(), stage.study
    settings, linear = network_settings(stage, objective), None
    fields = about["fields_of_view"] if settings.field_of_view else None
    if settings.components:
        few = objective == "shortcut"  # whose linear model is that of ours
        owner = study.finished(stage_names.OURS) if few else stage
        linear = load_linear(owner.folder / LINEAR, settings, study.settings.vqvae)
    return SkullGenerator(
        objective,
        network,
        vqvae,
        LatentScale.from_dict(about["scale"]),
        device,
        settings.label_dropout,
        stage.fingerprint,
        settings.timesteps,
        FieldsOfView.from_dict(fields) if fields else None,
        device.to_device(linear) if linear else None,
        settings.start,
    )


def guided_by(made: SkullGenerator, stage: Stage, file: str) -> SkullGenerator:
    """A generator guided by the weights in a `file` of a training's folder.

    This is autoguidance (Karras et al. 2024): the weights are of a worse model of the
    same data, such as those after a part of the training.  `Sampler.guidance` is its
    weight; at 1 the guide is not used.

    Raises:
        SkfmError: for weights of another latent scale, and as `SkullGenerator.check`.
    """
    other = generator_of(stage, made.objective, file)
    if other.scale.as_dict() != made.scale.as_dict():
        found = f"{stage.folder / file} has another latent scale"
        raise SkfmError(found, "a model of the same latents")
    trained = f"{made.trained}, guided by {other.trained}, {file}"
    return replace(made, guide=other.network, trained=trained)


def usual_sampler(
    model: str,
    sampling: presets.SamplingConfig,
    steps: int | None = None,
    method: str | None = None,
    guidance: float = 1.0,
    shift: float = 1.0,
    symmetric: float | None = None,
) -> Sampler:
    """The sampler of a model, as the preset has it where nothing else is given."""
    few = {"shortcut": FEW_STEPS, OURS.name: sampling.ours_steps}
    steps = few.get(model, sampling.steps) if steps is None else steps
    if symmetric is None:
        usual = model in SYMMETRIC and steps > 1
        symmetric = sampling.symmetric if usual else 0.0
    method = method or samplers.METHODS[model][0]
    return Sampler(method, steps, guidance, shift, symmetric=symmetric)


def trained_models(study: Study, *models: str) -> list[str]:
    """Those of the `models`, by default of all, that a study has finished."""
    return [m for m in models or STAGES if study.is_finished(STAGES[m])]
