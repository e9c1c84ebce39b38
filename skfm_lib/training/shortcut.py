"""The few-step model of ours: shortcut training, started from its weights."""

import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.losses import otfm, shortcut
from skfm_lib.models import UNet3D
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.training.denoiser import WEIGHTS, about_weights
from skfm_lib.training.latents import (
    LatentScale,
    LatentSet,
    field_batch,
    latent_batch,
)
from skfm_lib.training.mirrored_latents import mirrored_latents
from skfm_lib.training.multi_device import global_batch
from skfm_lib.training.trainer import Trainer, Watch
from skfm_lib.utils.device import Device
from skfm_lib.utils.seeding import generator, seed_of


def shortcut_stage(
    study: Study, **changes: object
) -> tuple[Stage, presets.ShortcutConfig]:
    """Begin or resume stage 13: the stage, and the preset's settings with `changes`.

    The U-Net is that of stage 17, with its linear start, its condition on the field of
    view and its mirrored skulls, but without label dropout.
    """
    settings = study.settings.shortcut.but(**changes)
    flow = study.finished(stage_names.OURS).settings["ours"]
    denoiser = {**flow, "label_dropout": 0.0}
    record = {"denoiser": denoiser, "shortcut": settings.as_dict()}
    return study.stage(stage_names.FEW_STEPS, record, (stage_names.OURS,)), settings


def train_shortcut(
    stage: Stage,
    flow: UNet3D,
    latents: LatentSet,
    scale: LatentScale,
    settings: presets.ShortcutConfig,
    device: Device,
    watch: Watch | None = None,
) -> tuple[UNet3D, dict[str, list[float]]]:
    """Train a copy of `flow`, the network of stage 17, for large steps, or resume.

    After Frans et al. (2024), for times up to the start of the flow.  In every batch
    three quarters regress the velocity of the flow at the smallest step, one quarter
    the mean of two half-steps of the network itself.  The averaged weights are saved in
    the stage's folder.  `watch` is called after every step.
    """
    count = global_batch(settings, latents, 1)
    seed = seed_of(stage.study.seed, "shortcut")
    torch.manual_seed(seed)
    denoiser = stage.study.settings.denoiser.but(**stage.settings["denoiser"])
    mirrored = (
        mirrored_latents(stage.study, latents, device) if denoiser.mirrored else None
    )
    network, owner = shortcut_network(flow, denoiser), (stage.folder, stage.fingerprint)
    trainer = Trainer(
        network, settings, device, *owner, settings.ema_decay, watch=watch
    )

    def pairs(step: int) -> tuple[Tensor, ...]:
        chosen = seed, step, count
        x_0, eps, quality = latent_batch(latents, scale, *chosen, mirrored)
        rng = generator(seed, "t", step)
        t, d = shortcut.times_and_steps(len(x_0), rng, denoiser.start)
        fields = [field_batch(latents, *chosen)] if denoiser.field_of_view else []
        return *otfm.path(x_0, eps, t), t, d, quality, *fields

    about = about_weights(denoiser, scale, latents)
    for _, batch in trainer.batches("Shortcut", pairs):
        z_t, target, t, d, quality, *fields = batch
        seen = {"field_of_view": fields[0]} if fields else {}
        with device.autocast():
            larger = shortcut.is_larger(d, denoiser.start)
            given = z_t, target, t, d, quality, larger
            target = mixed_target(trainer.model, *given, **seen)
        with device.autocast():
            predicted = trainer.model(z_t, t, quality, d, **seen)
        trainer.descend(F.mse_loss(predicted, target))
    model = trainer.use_average()
    save_weights(model, stage.folder / WEIGHTS, about)
    return model, trainer.history


def shortcut_network(flow: UNet3D, settings: presets.DenoiserConfig) -> UNet3D:
    """A copy of `flow` with a zero-initialised step-size input: `flow` for every d."""
    network = UNet3D(settings, leaps=True)
    network.load_state_dict({**network.state_dict(), **flow.state_dict()})
    return network


def mixed_target(
    network: UNet3D,
    z_t: Tensor,
    velocity: Tensor,
    t: Tensor,
    d: Tensor,
    quality: Tensor,
    larger: Tensor,
    **seen: Tensor,
) -> Tensor:
    """The target: `velocity`, but the self-consistent one for the `larger` steps d.

    `seen` holds the ``field_of_view``, for a network with that condition.
    """
    if not larger.any():
        return velocity
    target, own = velocity.clone(), {k: v[larger] for k, v in seen.items()}
    target[larger] = shortcut.target(
        lambda z, t, d: network(z, t, quality[larger], d, **own),
        z_t[larger],
        t[larger],
        d[larger],
    )
    return target
