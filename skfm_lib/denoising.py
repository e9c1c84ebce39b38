"""Stage two at work: train the U-Net on cached latents, by either objective."""

from types import ModuleType

import torch
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.device import Device
from skfm_lib.latents import LatentScale, LatentSet
from skfm_lib.models import UNet3D
from skfm_lib.seeds import batch_indices, generator, noise, seed_of
from skfm_lib.study import Stage
from skfm_lib.training import Trainer, save_weights

WEIGHTS = "denoiser.safetensors"


def train_denoiser(
    stage: Stage,
    objective: ModuleType,
    latents: LatentSet,
    scale: LatentScale,
    settings: presets.Denoiser,
    device: Device,
) -> tuple[UNet3D, dict[str, list[float]]]:
    """Train by `objective` (``losses.otfm`` or ``losses.ddpm``), resuming.

    Per step: a batch x_0, noise ε, t uniform on {1/T … 1}, and the squared error of
    what the objective's path asks for (eq. 2).  Both objectives see the same
    batches, times and noise.  The averaged weights go to the stage's folder.
    """
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
    for step in trainer.steps(objective.__name__.rpartition(".")[2].upper()):
        chosen = batch_indices(seed, step, len(latents), settings.batch)
        batch = [latents[i] for i in chosen]
        x_0 = scale.normalise(torch.stack([z for z, _ in batch]))
        t, quality = _times_and_labels([q for _, q in batch], settings, seed, step)
        samples = range(step * len(batch), (step + 1) * len(batch))
        eps = noise(x_0.shape[1:], seed, "eps", samples=samples)
        z_t, target = objective.path(x_0, eps, t)
        with device.autocast():
            predicted = trainer.model(device.place(z_t), t, quality)
        trainer.descend(F.mse_loss(predicted, device.place(target)))
    model = trainer.use_average()
    about = {"denoiser": settings.as_dict(), "scale": scale.as_dict()}
    save_weights(model, stage.folder / WEIGHTS, about)
    return model, trainer.history


def _times_and_labels(
    qualities: list[int], settings: presets.Denoiser, seed: int, step: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """t uniform on {1/T … 1}, and the labels, some dropped for guidance."""
    random, count = generator(seed, "t", step), len(qualities)
    tau = torch.randint(1, settings.timesteps + 1, (count,), generator=random)
    dropped = torch.rand(count, generator=random) < settings.label_dropout
    quality = torch.tensor(qualities).masked_fill(dropped, presets.NO_LABEL)
    return tau / settings.timesteps, quality
