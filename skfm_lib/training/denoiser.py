"""Stage two: train the U-Net on cached latents, by flow matching or diffusion."""

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.data.field_of_view import FieldsOfView
from skfm_lib.losses import ddpm, otfm
from skfm_lib.models import UNet3D
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training import memory_plan, multi_device, times
from skfm_lib.training.averages import Decay
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.training.latents import (
    LatentScale,
    LatentSet,
    field_batch,
    latent_batch,
)
from skfm_lib.training.linear_start import check_start, save_linear
from skfm_lib.training.mirrored_latents import mirrored_latents
from skfm_lib.training.muon import optimiser_of
from skfm_lib.training.trainer import Trainer, Watch
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.seeding import generator, seed_of

WEIGHTS = "denoiser.safetensors"


class Objective(NamedTuple):
    """A training objective, and the model that it makes.

    Attributes:
        name: of the model, for commands and files.
        label: of the model, for tables and figures.
        stage: that trains it.
        path: ``path(x_0, eps, t, timesteps)`` is (z_t, target), with T = timesteps.
        prediction: what the network of a diffusion model predicts; "" for a flow.
        group: of the preset's settings.
    """

    name: str
    label: str
    stage: str
    path: Callable[[Tensor, Tensor, Tensor, int], tuple[Tensor, Tensor]]
    prediction: str = ""
    group: str = "denoiser"


def _flow(x_0: Tensor, eps: Tensor, t: Tensor, _: int) -> tuple[Tensor, Tensor]:
    return otfm.path(x_0, eps, t)  # the same for every T


OTFM = Objective("otfm", "OTFM", stage_names.OTFM, _flow)
DDPM = Objective("ddpm", "DDPM", stage_names.DDPM, ddpm.path, "epsilon")
DDPM_V = Objective(
    "ddpm-v", "DDPM-v", stage_names.DDPM_V, partial(ddpm.path, prediction="v"), "v"
)
# The same objective as OTFM, with the settings that this study found to pay.
OURS = Objective("ours", "ours", stage_names.OURS, _flow, group="ours")
OBJECTIVES = {one.name: one for one in (OTFM, DDPM, DDPM_V, OURS)}


def diffusion(prediction: str) -> Objective:
    """The diffusion objective whose network predicts "epsilon" (the paper's) or "v"."""
    ddpm.check_prediction(prediction)
    return DDPM if prediction == DDPM.prediction else DDPM_V


def denoiser_stage(
    study: Study,
    objective: Objective,
    latents: LatentSet,
    devices: int = 1,
    **changes: object,
) -> tuple[Stage, presets.DenoiserConfig]:
    """Begin or resume stage 03, 04 or 17; see `multi_device.training_stage`."""
    given = (study, objective.stage, objective.group, latents, devices, changes)
    return multi_device.training_stage(*given, objective=objective.name)


def train_denoiser(
    stage: Stage,
    objective: Objective,
    latents: LatentSet,
    scale: LatentScale,
    settings: presets.DenoiserConfig,
    device: Device,
    kept: Collection[int] = (),
    more_averages: Mapping[str, Decay] | None = None,
    watch: Watch | None = None,
) -> tuple[UNet3D, dict[str, list[float]]]:
    """Train the U-Net by `objective`, or resume: the network and its loss per step.

    Per step: a batch x_0, noise ε, t on {1/T … 1}, uniform or by `times.logit_normal`,
    and the squared error of the objective's target (eq. 2).  All objectives get the
    same batches, times and noise.  The averaged weights are saved in the stage's
    folder, and beside them further averages (`average_files`) and those after each of
    the steps `kept` (`weights_after`).  `more_averages`, a file for each decay, are of
    the same training and change nothing else.  A stage of several devices is trained by
    `multi_device.train_in_processes`.

    With the setting `mirrored`, each skull of a batch is mirrored with probability ½;
    with `field_of_view`, the network is conditioned on that of the skull, and the
    rounded ones of the training set are kept with the weights (`FieldsOfView`).

    With `components`, the flow begins at t = `start` from a linear shape model, which
    is fitted first (to the mirrored skulls, too, with that setting) and saved in the
    stage's folder; times beyond `start` + `margin` are not trained.
    """
    check_start(
        settings,
        objective.label if objective.prediction else "",
        stage.study.settings.sampling.symmetric if objective is OURS else 0.0,
    )
    count = multi_device.global_batch(settings, latents, distributed.devices())
    multi_device.train_in_processes(stage, settings)
    shape = latents[0][0].shape[1:]
    memory_plan.require_memory(
        lambda: memory_plan.denoiser_step(settings, shape), device
    )
    mirrored = (
        mirrored_latents(stage.study, latents, device) if settings.mirrored else None
    )
    seed = seed_of(stage.study.seed, "denoiser")
    torch.manual_seed(seed)
    network, owner = UNet3D(settings), (stage.folder, stage.fingerprint)
    more = dict(more_averages or {})
    decays = list(more.values())
    trainer = _trainer(network, settings, device, *owner, decays, watch)

    def pairs(step: int) -> tuple[Tensor, ...]:
        chosen = seed, step, count
        x_0, eps, quality = latent_batch(latents, scale, *chosen, mirrored)
        t, quality = _times_and_labels(quality, settings, seed, step)
        fields = [field_batch(latents, *chosen)] if settings.field_of_view else []
        return *objective.path(x_0, eps, t, settings.timesteps), t, quality, *fields

    about = about_weights(settings, scale, latents)
    if settings.components and distributed.is_first():
        save_linear(stage, settings, latents, scale, mirrored)
    for step, batch in trainer.batches(objective.label, pairs):
        z_t, target, t, quality, *fields = batch
        seen = {"field_of_view": fields[0]} if fields else {}
        with device.autocast():
            predicted = trainer.model(z_t, t, quality, **seen)
        trainer.descend(F.mse_loss(predicted, target))
        if step + 1 in kept and distributed.is_first():
            with trainer.averaged() as model:
                save_weights(model, stage.folder / weights_after(step + 1), about)
    if distributed.is_first():
        files = [*average_files(settings.average_lengths), *more]
        for index, file in enumerate(files):
            with trainer.averaged(index) as model:
                save_weights(model, stage.folder / file, about)
    model = trainer.use_average()
    return model, trainer.history


def _trainer(
    network: UNet3D,
    settings: presets.DenoiserConfig,
    device: Device,
    folder: Path,
    fingerprint: str,
    more_decays: Sequence[Decay] = (),
    watch: Watch | None = None,
) -> Trainer[UNet3D]:
    """A trainer with the averages and the optimizer of the settings."""
    return Trainer(
        network,
        settings,
        device,
        folder,
        fingerprint,
        settings.ema_decay,
        average_lengths=settings.average_lengths,
        make_optimiser=optimiser_of(settings.optimizer, device),
        more_decays=more_decays,
        watch=watch,
    )


def about_weights(
    settings: presets.DenoiserConfig, scale: LatentScale, latents: LatentSet
) -> dict[str, Any]:
    """What a generator needs to know of a network, to be saved with its weights."""
    about = {"denoiser": settings.as_dict(), "scale": scale.as_dict()}
    if settings.field_of_view:
        with distributed.in_turn():  # the first process measures them
            fields = latents.fields_of_view.tolist()
        about["fields_of_view"] = FieldsOfView.of(fields, latents.qualities).as_dict()
    return about


def average_files(lengths: Sequence[float]) -> list[str]:
    """The files of the power-function averages; that of the first is the model's."""
    others = [f"denoiser-average-{length:g}.safetensors" for length in lengths[1:]]
    return [WEIGHTS, *others]


def weights_after(step: int) -> str:
    """The file of the (first) averaged weights that were kept after a training step."""
    return f"denoiser-{step:06d}.safetensors"


def _times_and_labels(
    quality: Tensor, settings: presets.DenoiserConfig, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """t on {1/T … start + margin}, and the labels (b,), some dropped for guidance.

    Both are drawn for the global batch, of which a process takes its share.  The labels
    that are dropped do not depend on the distribution of t.
    """
    count = len(quality) * distributed.devices()
    rng = generator(seed, "t", step)
    end = min(settings.start + settings.margin, 1.0)
    last = round(settings.timesteps * end)
    tau = torch.randint(1, last + 1, (count,), generator=rng)
    dropped = torch.rand(count, generator=rng) < settings.label_dropout
    t, mean = tau / settings.timesteps, settings.time_mean
    if mean is not None:
        t = times.logit_normal(count, mean, settings.timesteps, rng, end)
    t, dropped = distributed.share(t), distributed.share(dropped)
    return t, quality.masked_fill(dropped, presets.NO_LABEL)
