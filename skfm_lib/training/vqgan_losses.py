"""Who judges a reconstruction beside L1: the losses that Table 8 tries.

By default nobody.  With ``perceptual`` a trained network does, and with
``adversarial`` two discriminators, which learn at every step what reconstructions
still lack.
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
    """Those that the settings of `model` ask for, while it is trained.

    They see volumes as `VQVAE.decode` gives them, clamped to [−1, 1], and of each a
    slice along D, at random.  `rival`, the discriminators, belongs into the
    checkpoint of the training.
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
        self.rival = None
        if settings.adversarial:
            shape = settings.output_shape if settings.upsample else settings.input_shape
            torch.manual_seed(seed_of(seed, "discriminators"))
            network = Discriminators(shape, WIDTH * settings.channels[0])
            self.rival = Companion(network, settings, device)
        self.start = round(adversarial.START * settings.steps)

    def losses(self, v: Tensor, v_hat: Tensor, step: int) -> dict[str, Tensor]:
        """What joins the loss of the skulls `v`, of which `model` made `v_hat`.

        Weighted, by name; the discriminators have no say in the first 1/15 of the
        steps.
        """
        if not (self.rival or self.distance):
            return {}
        v = v if self.settings.upsample else self.model.to_input(v)
        items = self._items(len(v), v.shape[2], step)
        v_hat = v_hat.clamp(-1, 1)
        self._pair, found = (v, v_hat.detach(), items), {}
        if self.distance:
            weight = self.settings.perceptual
            found["perceptual"] = weight * self.distance(v, v_hat, items)
        if self.rival and step >= self.start:
            found |= self._verdicts(v, v_hat, items)
        return found

    def learn(self, trainer: Trainer) -> None:
        """A step of the discriminators, on what `losses` was given."""
        if not self.rival or trainer.step < self.start:
            return
        v, v_hat, items = self._pair
        with self.device.autocast():
            real, fake = self._look(v, items), self._look(v_hat, items)
        pairs = zip(real, fake)
        loss = sum(adversarial.hinge(r[-1], f[-1]) for r, f in pairs)
        trainer.record(discriminators=loss)
        self.rival.descend(loss, trainer.step)

    def _verdicts(self, v: Tensor, v_hat: Tensor, items: Tensor) -> dict[str, Tensor]:
        self.rival.network.requires_grad_(False)  # they learn later
        with torch.no_grad():
            real = self._look(v, items)
        fake = self._look(v_hat, items)
        self.rival.network.requires_grad_(True)
        weight, pairs = self.settings.adversarial, zip(real, fake)
        alike = sum(adversarial.matching(r, f) for r, f in pairs)
        return {
            "adversarial": weight
            * sum(adversarial.generator_loss(f[-1]) for f in fake),
            "matching": weight * adversarial.MATCHING * alike,
        }

    def _look(self, v: Tensor, items: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        return self.rival.network(v, some_slices(v, items))

    def _items(self, count: int, depth: int, step: int) -> Tensor:
        """A slice of each volume; drawn for the global batch, a process has a share."""
        rng = generator(self.seed, "slices", step)
        everywhere = (count * distributed.devices(),)
        return distributed.share(torch.randint(depth, everywhere, generator=rng))


def vqgan_losses(
    stage: Stage, model: VQVAE, skulls: SkullSet, device: Device, seed: int
) -> VQGANLosses:
    """The judges of a training on `skulls`, from the settings of `model`.

    Raises SkfmError where ``lpips_weights`` are not LPIPS's.
    """
    asked, weights = model.settings.perceptual, model.settings.lpips_weights
    distance = perceptual_distance(stage, skulls, weights) if asked else None
    return VQGANLosses(model, distance, device, seed)


def perceptual_distance(
    stage: Stage, skulls: SkullSet, lpips_weights: str | None
) -> LPIPS | StudyDistance:
    """LPIPS with a user's weights; without, the features of the study.

    lpips_weights  a folder (`LPIPS.load`); a relative path starts at the project's
    """
    if lpips_weights is not None:
        return LPIPS.load(project_root() / Path(lpips_weights).expanduser())
    with distributed.in_turn():  # the first of several trains it
        return StudyDistance(study_features(stage, skulls, FEATURE_STEPS)).eval()
