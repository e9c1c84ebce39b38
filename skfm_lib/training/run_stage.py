"""Train a stage without a notebook, as one or several processes (``skfm train``)."""

from collections.abc import Mapping

from skfm_lib.study import open_study
from skfm_lib.study.data_stage import skulls
from skfm_lib.training import denoiser, vqvae
from skfm_lib.training.latents import latent_scale, load_latents
from skfm_lib.training.multi_device import pace
from skfm_lib.utils import distributed
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.signals import noting_warnings

NUMBERS = {one.stage[:2] for one in denoiser.OBJECTIVES.values()}


def train(
    number: str,
    devices: int | None,
    changes: Mapping[str, object],
    run: str | None,
    preset: str,
    seed: int,
) -> None:
    """Train stage `number` of a run; `changes` are to the settings of the preset.

    Those of stage 04 may hold the `prediction` of diffusion, "epsilon" or "v".
    If this process was started by torchrun, srun or `multi_device.launch`, it is one
    of several, and `devices` is their number.  Otherwise it starts `devices` processes.
    The notebook of the stage, with the same parameters, then finds it trained.
    """
    with distributed.joined(), noting_warnings():
        devices = devices or distributed.devices()
        with distributed.in_turn():
            study = open_study(run, preset, seed)
        if number not in NUMBERS:
            train_set = skulls(study, "train")
            stage, settings = vqvae.vqvae_stage(study, train_set, devices, **changes)
            print(pace(settings, devices), flush=True)
            vqvae.train_vqvae(stage, train_set, settings, pick_device())
            return
        latents, changes = load_latents(study), dict(changes)
        if number == denoiser.DDPM.stage[:2]:
            objective = denoiser.diffusion(str(changes.pop("prediction", "epsilon")))
        else:
            ours = number == denoiser.OURS.stage[:2]
            objective = denoiser.OURS if ours else denoiser.OTFM
        stage, config = denoiser.denoiser_stage(
            study, objective, latents, devices, **changes
        )
        print(pace(config, devices), flush=True)
        device = pick_device()
        model = vqvae.load_vqvae(study, device)
        scale = latent_scale(config.normalise, model, latents)
        denoiser.train_denoiser(stage, objective, latents, scale, config, device)
