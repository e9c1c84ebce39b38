"""Training without a notebook, alone or as one of several processes."""

from collections.abc import Mapping

from skfm_lib.study import Study, open_study
from skfm_lib.study.data_stage import skulls
from skfm_lib.training.denoiser import (
    OBJECTIVES,
    Objective,
    denoiser_stage,
    train_denoiser,
)
from skfm_lib.training.latents import latent_scale, load_latents
from skfm_lib.training.multi_device import pace
from skfm_lib.training.vqvae import load_vqvae, train_vqvae, vqvae_stage
from skfm_lib.utils import distributed
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.signals import noting_warnings

BY_NUMBER = {objective.stage[:2]: objective for objective in OBJECTIVES.values()}


def train(
    number: str,
    devices: int | None,
    changes: Mapping[str, object],
    run: str | None,
    preset: str,
    seed: int,
) -> None:
    """Train stage `number` of a run, with the preset's settings but `changes`.

    Started by torchrun, srun or `launcher.launch`, this process is one of several;
    `devices` is then their number.  Otherwise it starts as many as it says.  The
    notebook of the stage, with the same parameters, finds it trained.  Raises what
    the stages raise, Interrupted after a warning.
    """
    with distributed.joined(), noting_warnings():
        devices = devices or distributed.devices()
        with distributed.in_turn():
            study = open_study(run, preset, seed)
        if number in BY_NUMBER:
            _denoiser(study, BY_NUMBER[number], devices, changes)
        else:
            _vqvae(study, devices, changes)


def _vqvae(study: Study, devices: int, changes: Mapping[str, object]) -> None:
    stage, settings = vqvae_stage(study, devices, **changes)
    print(pace(settings, devices), flush=True)
    train_vqvae(stage, skulls(study, "train"), settings, pick_device())


def _denoiser(
    study: Study, objective: Objective, devices: int, changes: Mapping[str, object]
) -> None:
    stage, settings = denoiser_stage(study, objective, devices, **changes)
    print(pace(settings, devices), flush=True)
    device, latents = pick_device(), load_latents(study)
    scale = latent_scale(settings.normalise, load_vqvae(study, device), latents)
    train_denoiser(stage, objective, latents, scale, settings, device)
