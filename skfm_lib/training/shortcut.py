"""The few-step model at work: shortcut training, from the flow's own weights."""

import torch
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.losses import otfm, shortcut
from skfm_lib.models import UNet3D
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import save_weights
from skfm_lib.training.denoiser import WEIGHTS
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.seeding import batch_indices, generator, noise, seed_of


def shortcut_stage(
    study: Study, **changes: object
) -> tuple[Stage, presets.ShortcutConfig]:
    """Begin or resume stage 13; (stage, settings): the preset's but `changes`.

    The U-Net is that of stage 03; every label is kept.
    """
    settings = study.settings.shortcut.but(**changes)
    flow = study.finished(stage_names.OTFM).settings["denoiser"]
    chosen = {
        "denoiser": {**flow, "label_dropout": 0.0},
        "shortcut": settings.as_dict(),
    }
    return study.stage(stage_names.FEW_STEPS, chosen, (stage_names.OTFM,)), settings


def train_shortcut(
    stage: Stage,
    flow: UNet3D,
    latents: LatentSet,
    scale: LatentScale,
    settings: presets.ShortcutConfig,
    device: Device,
) -> tuple[UNet3D, dict[str, list[float]]]:
    """Train a copy of `flow`, the network of stage 03, to take large steps; resumes.

    After Frans et al. (2024).  In every batch three quarters learn the flow's velocity
    at the smallest step, one quarter the mean of two of the network's own half-steps,
    by squared error.  The averaged weights go to the stage's folder.
    """
    seed = seed_of(stage.study.seed, "shortcut")
    torch.manual_seed(seed)
    denoiser = stage.study.settings.denoiser.but(**stage.settings["denoiser"])
    trainer = Trainer(
        leaping(flow, denoiser),
        settings,
        device,
        stage.folder,
        stage.fingerprint,
        settings.ema_decay,
    )
    for step in trainer.steps("Shortcut"):
        chosen = batch_indices(seed, step, len(latents), settings.batch)
        batch = [latents[i] for i in chosen]
        x_0 = scale.normalise(torch.stack([z for z, _ in batch]))
        t, d = shortcut.times_and_steps(len(batch), generator(seed, "t", step))
        samples = range(step * len(batch), (step + 1) * len(batch))
        eps = noise(x_0.shape[1:], seed, "eps", samples=samples)
        z_t, target = map(device.to_device, otfm.path(x_0, eps, t))
        quality = torch.tensor([q for _, q in batch])
        with device.autocast():
            target = with_leaps(trainer.model, z_t, target, t, d, quality)
        with device.autocast():
            predicted = trainer.model(z_t, t, quality, d)
        trainer.descend(F.mse_loss(predicted, target))
    model = trainer.use_average()
    about = {"denoiser": denoiser.as_dict(), "scale": scale.as_dict()}
    save_weights(model, stage.folder / WEIGHTS, about)
    return model, trainer.history


def leaping(flow: UNet3D, settings: presets.DenoiserConfig) -> UNet3D:
    """A network with a step-size input that says nothing yet: `flow` for every d."""
    network = UNet3D(settings, leaps=True)
    network.load_state_dict({**network.state_dict(), **flow.state_dict()})
    return network


def with_leaps(
    network: UNet3D,
    z_t: torch.Tensor,
    velocity: torch.Tensor,
    t: torch.Tensor,
    d: torch.Tensor,
    quality: torch.Tensor,
) -> torch.Tensor:
    """What to predict: `velocity`, and for larger steps the self-consistent target."""
    far = d > shortcut.SMALLEST
    if not far.any():
        return velocity
    target = velocity.clone()
    target[far] = shortcut.target(
        lambda z, t, d: network(z, t, quality[far], d), z_t[far], t[far], d[far]
    )
    return target
