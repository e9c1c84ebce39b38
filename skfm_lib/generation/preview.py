"""Skulls of a network that is still being trained, for the live view of a chapter."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from skfm_lib.generation.generator import SkullGenerator
from skfm_lib.generation.models import LABELS, assembled, network_settings
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.samplers import METHODS, Sampler
from skfm_lib.study import Stage
from skfm_lib.training.denoiser import about_weights
from skfm_lib.training.latents import LatentScale, LatentSet

SCORES, SEEDS, STEPS = (2, 4, 6), (0, 1, 2), 8


class Preview:
    """A function of the network: row → column → v (D, H, W), for `view.live`.

    One skull of each of three scores, always from the same noise, in 8 steps of the
    model's usual sampler (of diffusion, DDIM) and without the step that makes skulls
    symmetric.  It uses no global random numbers.

    Args:
        stage: that trains the network.
        objective: one of `generation.STAGES`.
        vqvae: which made the latents.
        latents: of the training.
        scale: of these latents.
    """

    def __init__(
        self,
        stage: Stage,
        objective: str,
        vqvae: VQVAE,
        latents: LatentSet,
        scale: LatentScale,
    ) -> None:
        self.stage, self.objective, self.vqvae = stage, objective, vqvae
        self.latents, self.scale = latents, scale
        method = "ddim" if "ddim" in METHODS[objective] else METHODS[objective][0]
        self.sampler = Sampler(method, STEPS)
        self._made: SkullGenerator | None = None

    def __call__(self, network: UNet3D) -> Mapping[str, Mapping[str, np.ndarray]]:
        """The skulls of a network in evaluation mode."""
        if self._made is None:  # with the linear model, which the training fits first
            settings = network_settings(self.stage, self.objective)
            about = about_weights(settings, self.scale, self.latents)
            given = self.stage, self.objective, network, self.vqvae, about
            self._made = assembled(*given)
        made = replace(self._made, network=network)
        volumes = made.decode(made.latents(SCORES, SEEDS, self.sampler))[:, 0].numpy()
        titles = [f"QS {quality}" for quality in SCORES]
        return {LABELS[self.objective]: dict(zip(titles, volumes))}
