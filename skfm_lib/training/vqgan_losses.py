"""Optional losses of the autoencoder: VQ-GAN and perceptual losses (Table 8).

By default there are none.  ``perceptual`` adds the distance of features of a trained
network, ``adversarial`` two discriminators that are trained with the autoencoder.
"""

from pathlib import Path

import torch
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.losses import adversarial
from skfm_lib.losses.adversarial import some_slices
from skfm_lib.losses.perceptual import LPIPS, StudyDistance
from skfm_lib.models import VQVAE
from skfm_lib.models.discriminators import Discriminators
from skfm_lib.presets import VQVAEConfig
from skfm_lib.study import Stage
from skfm_lib.training.feature_net import study_features
from skfm_lib.training.optimizer import Companion
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.paths import project_root
from skfm_lib.utils.seeding import generator, seed_of

FEATURE_STEPS = 300  # of the study's feature network, as in chapter 6
WIDTH = 4  # a discriminator's first channels for each of the encoder's; 64 for 16


class VQGANLosses:
    """The losses that the settings of `model` ask for.

    They compare volumes as `VQVAE.decode` returns them, clamped to [−1, 1], and one
    random slice along D of each.

    Attributes:
        discriminators: with their optimizer, for the checkpoint of the training; None
            without ``adversarial``.
        start: the first step with adversarial losses, after 1/15 of all steps.
    """

    def __init__(
        self,
        model: VQVAE,
        distance: LPIPS | StudyDistance | None,
        device: Device,
        seed: int,
    ) -> None:
        self.model, self.device, self.seed = model, device, seed
        self.settings = settings = model.settings
        self.distance = device.to_device(distance) if distance else None
        self.discriminators: Companion | None = None
        if settings.adversarial:
            shape = settings.output_shape if settings.upsample else settings.input_shape
            torch.manual_seed(seed_of(seed, "discriminators"))
            network = Discriminators(shape, WIDTH * settings.channels[0])
            self.discriminators = Companion(network, settings, device)
        self.start = round(adversarial.START * settings.steps)

    def losses(self, v: Tensor, v_hat: Tensor, step: int) -> dict[str, Tensor]:
        """The weighted losses, by name, of the reconstructions `v_hat` of `v`."""
        if not (self.discriminators or self.distance):
            return {}
        v = v if self.settings.upsample else self.model.to_input(v)
        slices = self._slices(len(v), v.shape[2], step)
        v_hat, found = v_hat.clamp(-1, 1), {}
        self._compared = v, v_hat.detach(), slices
        if self.distance:
            weight = self.settings.perceptual
            found["perceptual"] = weight * self.distance(v, v_hat, slices)
        if self.discriminators and step >= self.start:
            found |= self._adversarial(self.discriminators, v, v_hat, slices)
        return found

    def train_discriminators(self, trainer: Trainer[VQVAE]) -> None:
        """Take one step of the discriminators, on the volumes of the last `losses`."""
        companion = self.discriminators
        if not companion or trainer.step < self.start:
            return
        v, v_hat, slices = self._compared
        with self.device.autocast():
            real = companion.network(v, some_slices(v, slices))
            fake = companion.network(v_hat, some_slices(v_hat, slices))
        pairs = zip(real, fake)
        loss = torch.stack([adversarial.hinge(r[-1], f[-1]) for r, f in pairs]).sum()
        trainer.record(discriminators=loss)
        companion.descend(loss, trainer.step)

    def _adversarial(
        self, companion: Companion, v: Tensor, v_hat: Tensor, slices: Tensor
    ) -> dict[str, Tensor]:
        """Generator loss and feature matching; the discriminators get no gradient."""
        network, weight = companion.network, self.settings.adversarial
        network.requires_grad_(False)
        with torch.no_grad():
            real = network(v, some_slices(v, slices))
        fake = network(v_hat, some_slices(v_hat, slices))
        network.requires_grad_(True)
        loss = torch.stack([adversarial.generator_loss(f[-1]) for f in fake])
        alike = torch.stack([adversarial.matching(*pair) for pair in zip(real, fake)])
        return {
            "adversarial": weight * loss.sum(),
            "matching": weight * adversarial.MATCHING * alike.sum(),
        }

    def _slices(self, count: int, depth: int, step: int) -> Tensor:
        """An index along D for each volume; drawn for the global batch, then shared."""
        rng = generator(self.seed, "slices", step)
        everywhere = (count * distributed.devices(),)
        return distributed.share(torch.randint(depth, everywhere, generator=rng))


def perceptual_distance(
    stage: Stage, skulls: SkullSet, settings: VQVAEConfig
) -> LPIPS | StudyDistance | None:
    """The distance that `settings` ask for: LPIPS, or the features of the study.

    ``lpips_weights`` is a folder (`LPIPS.load`), relative to that of the project.  The
    features are trained on `skulls`, once per study.
    """
    if not settings.perceptual:
        return None
    if settings.lpips_weights is not None:
        return lpips(settings.lpips_weights)
    with distributed.in_turn():  # the first of several processes trains it
        return StudyDistance(study_features(stage, skulls, FEATURE_STEPS)).eval()


def lpips(folder: str) -> LPIPS:
    """LPIPS with the weights in a folder, relative to that of the project."""
    return LPIPS.load(project_root() / Path(folder).expanduser())
