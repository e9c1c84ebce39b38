"""Stage one: train the VQ-VAE and measure its reconstructions."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from skfm_lib import presets
from skfm_lib.data.dataset import SkullSet, unpacked
from skfm_lib.metrics import dice, reconstruction_error
from skfm_lib.models import VQVAE
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training import memory_plan, multi_device, vqgan_losses
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.muon import optimiser_of
from skfm_lib.training.trainer import Trainer, Watch
from skfm_lib.training.vqgan_losses import VQGANLosses, perceptual_distance
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

WEIGHTS = "vqvae.safetensors"


def vqvae_stage(
    study: Study, training_set: SkullSet, devices: int = 1, **changes: object
) -> tuple[Stage, presets.VQVAEConfig]:
    """Begin or resume stage 02; see `multi_device.training_stage`."""
    if changes.get("lpips_weights"):  # before a finished stage is set aside
        vqgan_losses.lpips(str(changes["lpips_weights"]))
    given = (study, stage_names.VQVAE, "vqvae", training_set, devices, changes)
    return multi_device.training_stage(*given)


def train_vqvae(
    stage: Stage,
    skulls: SkullSet,
    settings: presets.VQVAEConfig,
    device: Device,
    watch: Watch | None = None,
) -> tuple[VQVAE, dict[str, list[float]]]:
    """Train the autoencoder on `skulls`, or resume: the network, its losses per step.

    The loss is L_recon + 0.25 · L_commit (B.1), plus optional `vqgan_losses`; the
    codebook follows the latents by moving averages after each step.  The weights are
    saved in the stage's folder.  `watch` is called after every step.  A stage of
    several devices is trained by `multi_device.train_in_processes`, without it.
    """
    count = multi_device.global_batch(settings, skulls, distributed.devices())
    multi_device.train_in_processes(stage, settings)
    memory_plan.require_memory(lambda: memory_plan.vqvae_step(settings), device)
    seed = seed_of(stage.study.seed, "vqvae")
    torch.manual_seed(seed)
    model = VQVAE(settings)
    distance = perceptual_distance(stage, skulls, settings)
    gan = VQGANLosses(model, distance, device, seed)
    owner = stage.folder, stage.fingerprint
    trainer = Trainer(
        model,
        settings,
        device,
        *owner,
        companion=gan.discriminators,
        make_optimiser=optimiser_of(settings.optimizer, device),
        watch=watch,
    )

    def packed(step: int) -> tuple[Tensor]:
        chosen = distributed.share(batch_indices(seed, step, len(skulls), count))
        return (skulls.packed(chosen),)

    for step, (bits,) in trainer.batches("VQ-VAE", packed):
        v = device.to_device(unpacked(bits, skulls.shape))
        rng = generator(seed, "codes", step)
        if step == 0:
            with torch.no_grad(), device.autocast():
                model.codebook.seed(model.encode(v), rng)
        with device.autocast():
            found = model.loss(v)
            more = gan.losses(v, found.v_hat, step)
        parts = {"reconstruction": found.reconstruction, **more}
        parts["commitment"] = found.commitment
        loss = found.reconstruction + settings.commitment * found.commitment
        z, indices = found.z, found.indices
        del found  # v_hat, a full-resolution map that the backward pass does not need
        trainer.descend(sum(more.values(), loss), **parts)
        model.codebook.update(z, indices, rng)
        gan.train_discriminators(trainer)
    if distributed.is_first():
        save_weights(model, stage.folder / WEIGHTS, settings.as_dict())
    return model.eval(), trainer.history


def load_vqvae(study: Study, device: Device, name: str = stage_names.VQVAE) -> VQVAE:
    """The trained autoencoder of the study's stage `name`, in evaluation mode."""
    stage = study.finished(name)
    chosen = {"padding": "zeros", **stage.settings["vqvae"]}  # of before the setting
    settings = study.settings.vqvae.but(**chosen)
    model = VQVAE(settings)
    load_weights(model, stage.folder / WEIGHTS)
    return device.to_device(model).eval()


@torch.no_grad()
def reconstruct(model: VQVAE, v: Tensor, device: Device) -> tuple[Tensor, Tensor]:
    """Encode, quantise and decode, some at a time: (v̂*, code indices), on the CPU."""
    found = []
    for part in v.split(model.at_once):
        with device.autocast():
            q, indices = model.quantize(model.encode(device.to_device(part)))
            found.append((model.decode(q).cpu(), indices.cpu()))
    v_hat, codes = map(torch.cat, zip(*found))
    return v_hat, codes


def reconstruct_items(
    model: VQVAE, skulls: SkullSet, items: Sequence[int], device: Device
) -> tuple[Tensor, Tensor, Tensor]:
    """`reconstruct` for the chosen items of a set: (v, v̂*, code indices)."""
    v = _stack(skulls, items)
    return v, *reconstruct(model, v, device)


def preview(
    skulls: SkullSet, items: Sequence[int], device: Device
) -> Callable[[VQVAE], dict[str, dict[str, np.ndarray]]]:
    """A function of the network: row → column → v (D, H, W), for `view.live`.

    The rows are the chosen items of a set, of different scores, and what the network
    makes of them.
    """

    def reconstructed(model: VQVAE) -> dict[str, dict[str, np.ndarray]]:
        v, v_hat, _ = reconstruct_items(model, skulls, items, device)
        titles = [f"QS {skulls.qualities[item]}" for item in items]
        rows = {"skull": v, "VQ-VAE": v_hat}
        return {k: dict(zip(titles, x[:, 0].numpy())) for k, x in rows.items()}

    return reconstructed


def evaluate_each(
    model: VQVAE, skulls: SkullSet, device: Device
) -> tuple[list[float], list[float], set[int]]:
    """(errors, Dice) of every skull at full resolution, and the set of codes used."""
    errors, overlaps, used, items = [], [], set(), range(len(skulls))
    parts = [items[i : i + model.at_once] for i in items[:: model.at_once]]
    for part in track(parts, "Reconstructing"):
        v, v_hat, indices = reconstruct_items(model, skulls, part, device)
        errors += reconstruction_error(v, v_hat).tolist()
        overlaps += [dice(a, b) for a, b in zip(v, v_hat)]
        used.update(indices.unique().tolist())
    return errors, overlaps, used


def evaluate(model: VQVAE, skulls: SkullSet, device: Device) -> dict[str, Any]:
    """Reconstruction error (Table 8) and Dice, means over the skulls; codebook usage.

    ``codes_used`` counts the distinct codes in the set's latents; ``perplexity`` is
    that of the codebook's moving average in training.
    """
    errors, overlaps, used = evaluate_each(model, skulls, device)
    return {
        "error": float(np.mean(errors)),
        "dice": float(np.mean(overlaps)),
        "worst_dice": float(np.min(overlaps)),
        "codes_used": len(used),
        "perplexity": model.codebook.perplexity(),
    }


def _stack(skulls: SkullSet, items: Sequence[int]) -> Tensor:
    """The volumes (b, 1, D, H, W) of the chosen items, −1 and +1."""
    return torch.stack([skulls[i][0] for i in items])
