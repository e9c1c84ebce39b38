"""What the weights of a model disclose to whoever has them and a skull: membership."""

from collections.abc import Callable, Sequence

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.privacy.linear_attacks import misfits
from skfm_lib.evaluation.privacy.membership_inference import attack, latent_losses
from skfm_lib.evaluation.privacy.planted_copies import Altered
from skfm_lib.evaluation.privacy.power import DETECTABLE, detectable_auc
from skfm_lib.evaluation.table1 import stratified_sample
from skfm_lib.generation import SkullGenerator
from skfm_lib.models import VQVAE
from skfm_lib.training.latents import LatentSet
from skfm_lib.training.vqvae import evaluate_each
from skfm_lib.utils.device import Device

Sides = dict[str, SkullSet]  # members first: label of files on disk → skulls
Row = dict[str, object]
Losses = Sequence[float] | np.ndarray


def matched_sides(members: SkullSet, strangers: SkullSet, seed: int = 0) -> Sides:
    """Equally many members and strangers, each in the proportions of their scores."""
    count = min(len(members), len(strangers))
    return {
        label: Altered(side, stratified_sample(side, count, seed))
        for label, side in (("train", members), ("strangers", strangers))
    }


def denoiser_attacks(
    generator: SkullGenerator,
    sides: Sides,
    read: Callable[[SkullSet, str], LatentSet],
    times: Sequence[float],
    batch: int,
    seed: int = 0,
) -> dict[str, Row]:
    """Attacks on a denoiser by its loss, and on its linear start where it has one.

    Args:
        generator: the model that is attacked.
        sides: skulls that it was trained on, and others.
        read: their latents (`spaces.latent_reader`).
        times: shares of the time at which its path begins.
        batch: latents at a time.
        seed: of the bootstrap.
    """
    latents = [read(skulls, label) for label, skulls in sides.items()]
    at = [generator.start * t for t in times]
    losses = [latent_losses(generator, side, at, batch) for side in latents]
    rows = {"loss": with_power(losses, seed)}
    if generator.linear:
        fits = [misfits(generator, side) for side in latents]
        rows["linear start"] = with_power(fits, seed)
    return rows


def autoencoder_attack(
    model: VQVAE, sides: Sides, device: Device, seed: int = 0
) -> Row:
    """The attack on the autoencoder by its reconstruction error."""
    errors = [evaluate_each(model, side, device)[0] for side in sides.values()]
    return with_power(errors, seed)


def with_power(losses: Sequence[Losses], seed: int = 0) -> Row:
    """`attack` by the losses of members and of others, and its `detectable_auc`."""
    members, others = losses
    found = attack(members, others, seed)
    return {**found, DETECTABLE: detectable_auc(found["AUC"])}
