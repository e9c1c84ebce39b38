"""Stage one at work: train the VQ-VAE and look at what it makes of skulls."""

import numpy as np
import torch
from torch import Tensor

from skfm_lib import presets
from skfm_lib.data.dataset import SkullSet
from skfm_lib.metrics import dice, reconstruction_error
from skfm_lib.models import VQVAE
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.multi_device import train_apart, training_stage
from skfm_lib.training.trainer import Trainer
from skfm_lib.training.vqgan_losses import vqgan_losses
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

WEIGHTS = "vqvae.safetensors"


def vqvae_stage(
    study: Study, devices: int = 1, **changes: object
) -> tuple[Stage, presets.VQVAEConfig]:
    """Begin or resume stage 02; (stage, settings): the preset's but `changes`.

    `changes` are any of `presets.VQVAEConfig`; None leaves a setting alone.  `devices`
    share a step, each with a batch of its own.
    """
    settings = study.settings.vqvae.but(**changes)
    chosen, after = {"vqvae": settings.as_dict()}, (stage_names.DATA,)
    return training_stage(study, stage_names.VQVAE, chosen, devices, after), settings


def train_vqvae(
    stage: Stage, skulls: SkullSet, settings: presets.VQVAEConfig, device: Device
) -> tuple[VQVAE, dict[str, list[float]]]:
    """Train on `skulls`, resuming; (network, history) with the losses of every step.

    The loss is L_recon + 0.25 · L_commit (B.1), with those of `judges` where the
    settings ask for them; the codebook follows the latents by moving averages after
    each step.  Weights go to the stage's folder.  A stage of several devices is
    trained in as many processes (`multi_device.train_apart`).
    """
    train_apart(stage, "vqvae", settings)
    seed = seed_of(stage.study.seed, "vqvae")
    torch.manual_seed(seed)
    model = VQVAE(settings)
    judges = vqgan_losses(stage, model, skulls, device, seed)
    made = stage.folder, stage.fingerprint
    trainer = Trainer(model, settings, device, *made, companion=judges.rival)
    for step in trainer.steps("VQ-VAE"):
        batch = settings.batch * distributed.devices()
        chosen = distributed.share(batch_indices(seed, step, len(skulls), batch))
        v = device.to_device(torch.stack([skulls[i][0] for i in chosen]))
        rng = generator(seed, "codes", step)
        if step == 0:
            with torch.no_grad(), device.autocast():
                model.codebook.seed(model.encode(v), rng)
        with device.autocast():
            found = model.loss(v)
            more = judges.losses(v, found.v_hat, step)
        parts = {"reconstruction": found.reconstruction, **more}
        parts["commitment"] = found.commitment
        loss = found.reconstruction + settings.commitment * found.commitment
        z, indices = found.z, found.indices
        del found  # v_hat, a whole map that the backward pass need not find
        trainer.descend(sum(more.values(), loss), **parts)
        model.codebook.update(z, indices, rng)
        judges.learn(trainer)
    if distributed.is_first():
        save_weights(model, stage.folder / WEIGHTS, settings.as_dict())
    return model.eval(), trainer.history


def load_vqvae(study: Study, device: Device, name: str = stage_names.VQVAE) -> VQVAE:
    """The trained autoencoder of a study, ready to use; `name` is that of its stage."""
    stage = study.finished(name)
    settings = study.settings.vqvae.but(**stage.settings["vqvae"])
    model = VQVAE(settings)
    load_weights(model, stage.folder / WEIGHTS)
    return device.to_device(model).eval()


def of_each(
    model: VQVAE, skulls: SkullSet, device: Device
) -> tuple[list[float], list[float], set[int]]:
    """(errors, Dice) of every skull, against its full resolution; the codes used."""
    errors, overlaps, used = [], [], set()
    for start in track(range(0, len(skulls), 8), "Reconstructing"):
        v = torch.stack([skulls[i][0] for i in range(len(skulls))[start : start + 8]])
        v_hat, indices = reconstruct(model, v, device)
        errors += reconstruction_error(v, v_hat).tolist()
        overlaps += [dice(a, b) for a, b in zip(v, v_hat)]
        used.update(indices.unique().tolist())
    return errors, overlaps, used


@torch.no_grad()
def reconstruct(model: VQVAE, v: Tensor, device: Device) -> tuple[Tensor, Tensor]:
    """(v̂*, indices) on the CPU: encoded, quantised, decoded; the codes it took."""
    with device.autocast():
        q, indices = model.quantize(model.encode(device.to_device(v)))
        return model.decode(q).cpu(), indices.cpu()


def assess(model: VQVAE, skulls: SkullSet, device: Device) -> dict[str, object]:
    """How well a set is reconstructed: error (Table 8), Dice, use of the codebook.

    error, dice       means over the skulls; worst_dice, the smallest
    codes_used        distinct codes in the set's latents
    perplexity        of the codebook's moving average in training
    """
    errors, overlaps, used = of_each(model, skulls, device)
    return {
        "error": float(np.mean(errors)),
        "dice": float(np.mean(overlaps)),
        "worst_dice": float(np.min(overlaps)),
        "codes_used": len(used),
        "perplexity": model.codebook.perplexity(),
    }
