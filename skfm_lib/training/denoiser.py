"""Stage two at work: train the U-Net on cached latents, by either objective."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.losses import ddpm, otfm
from skfm_lib.models import UNet3D
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.multi_device import train_apart, training_stage
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.seeding import batch_indices, generator, noise, seed_of

WEIGHTS = "denoiser.safetensors"


class Objective(NamedTuple):
    """What a denoiser is trained for: its name, its stage, and its path.

    ``path(x_0, eps, t)`` gives (z_t, target), as `losses.otfm.path` does.
    """

    name: str
    stage: str
    path: Callable[[Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


OTFM = Objective("otfm", stage_names.OTFM, otfm.path)
DDPM = Objective("ddpm", stage_names.DDPM, ddpm.path)
OBJECTIVES = {objective.name: objective for objective in (OTFM, DDPM)}


def denoiser_stage(
    study: Study, objective: Objective, devices: int = 1, **changes: object
) -> tuple[Stage, presets.DenoiserConfig]:
    """Begin or resume stage 03 or 04; (stage, settings): the preset's but `changes`.

    `objective` is `OTFM` or `DDPM`; `changes` are any of
    `presets.DenoiserConfig`; None leaves a setting alone.  `devices` share a step, each
    with a batch of its own.
    """
    settings = study.settings.denoiser.but(**changes)
    chosen = {"objective": objective.name, "denoiser": settings.as_dict()}
    after = (stage_names.VQVAE,)
    return training_stage(study, objective.stage, chosen, devices, after), settings


def train_denoiser(
    stage: Stage,
    objective: Objective,
    latents: LatentSet,
    scale: LatentScale,
    settings: presets.DenoiserConfig,
    device: Device,
) -> tuple[UNet3D, dict[str, list[float]]]:
    """Train by `objective`, resuming.

    Per step: a batch x_0, noise ε, t uniform on {1/T … 1}, and the squared error of
    what the objective's path asks for (eq. 2).  Both objectives see the same
    batches, times and noise.  The averaged weights go to the stage's folder.  A
    stage of several devices is trained in as many processes (`multi_device.train_apart`).
    """
    train_apart(stage, "denoiser", settings)
    seed = seed_of(stage.study.seed, "denoiser")
    torch.manual_seed(seed)
    trainer = Trainer(
        UNet3D(settings),
        settings,
        device,
        stage.folder,
        stage.fingerprint,
        settings.ema_decay,
    )
    count = settings.batch * distributed.devices()
    for step in trainer.steps(objective.name.upper()):
        chosen = batch_indices(seed, step, len(latents), count)
        batch = [latents[i] for i in distributed.share(chosen)]
        x_0 = scale.normalise(torch.stack([z for z, _ in batch]))
        t, quality = _times_and_labels([q for _, q in batch], settings, seed, step)
        samples = distributed.share(range(step * count, (step + 1) * count))
        eps = noise(x_0.shape[1:], seed, "eps", samples=samples)
        z_t, target = objective.path(x_0, eps, t)
        with device.autocast():
            predicted = trainer.model(device.to_device(z_t), t, quality)
        trainer.descend(F.mse_loss(predicted, device.to_device(target)))
    model = trainer.use_average()
    about = {"denoiser": settings.as_dict(), "scale": scale.as_dict()}
    if distributed.is_first():
        save_weights(model, stage.folder / WEIGHTS, about)
    return model, trainer.history


def _times_and_labels(
    qualities: list[int], settings: presets.DenoiserConfig, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """t uniform on {1/T … 1}, and the labels, some dropped for guidance.

    Both are drawn for the global batch; a process takes its share.
    """
    count = len(qualities) * distributed.devices()
    rng = generator(seed, "t", step)
    tau = torch.randint(1, settings.timesteps + 1, (count,), generator=rng)
    dropped = torch.rand(count, generator=rng) < settings.label_dropout
    tau, dropped = distributed.share(tau), distributed.share(dropped)
    quality = torch.tensor(qualities).masked_fill(dropped, presets.NO_LABEL)
    return tau / settings.timesteps, quality
