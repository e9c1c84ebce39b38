"""Trainings of ours on chosen skulls: shadow models, and the one with canaries.

Each is an experiment of the study: a finished one is kept, an interrupted one resumes
(`Study.experiment`).
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.privacy.membership_inference import latent_losses
from skfm_lib.generation import (
    SkullGenerator,
    generate_skulls,
    generator_of,
    mix_of,
    usual_sampler,
)
from skfm_lib.presets import DenoiserConfig
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.study.data_stage import counts, skulls
from skfm_lib.training.denoiser import OURS, train_denoiser
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

FOLDER = "14_experiments"
SKULLS = 5  # for each component of a linear start; half of tiny's skulls are too few


@dataclass(frozen=True)
class PartTraining:
    """A training of ours on some of the training skulls, each as often as it is named.

    Attributes:
        study: whose seed is that of the training.
        name: such as ``shadow-1``.
        items: of the training set; an item that is named twice is drawn twice as often.
        steps: of the training.

    Raises:
        SkfmError: for no items.
    """

    study: Study
    name: str
    items: tuple[int, ...]
    steps: int

    def __post_init__(self) -> None:
        if not self.items:
            raise SkfmError(f"{self.name} of no skulls", "at least one skull")

    @property
    def settings(self) -> DenoiserConfig:
        """Those of ours, with at most a component for every SKULLS of its skulls."""
        ours = self.study.settings.ours
        most = max(1, len(set(self.items)) // SKULLS)
        return ours.but(steps=self.steps, components=min(ours.components, most))

    @cached_property
    def stage(self) -> Stage:
        """The experiment, finished or not."""
        text = ",".join(map(str, self.items))
        chosen = {
            "seed": self.study.seed,
            OURS.group: self.settings.as_dict(),
            "skulls": len(self.items),
            "items": hashlib.sha256(text.encode()).hexdigest()[:16],
        }
        return self.study.experiment(FOLDER, self.name, chosen, (stage_names.VQVAE,))

    def train(self, latents: LatentSet, scale: LatentScale, device: Device) -> None:
        """Train it on some of the `latents` of the training set, unless it is done."""
        stage = self.stage
        if stage.done:
            return
        given = stage, OURS, subset(latents, self.items), scale, self.settings, device
        _, history = train_denoiser(*given)
        stage.finish(loss=history["loss"][-100:])
        (stage.folder / "checkpoint.pt").unlink()  # four times the weights

    @property
    def generator(self) -> SkullGenerator:
        """The generator of the finished training."""
        return generator_of(self.stage, OURS.name)

    def losses(self, latents: LatentSet, times: Sequence[float]) -> np.ndarray:
        """Its loss on each of the `latents` of the training set (n,), kept.

        `times` are shares of the time at which the flow begins.
        """
        path = self.stage.folder / f"losses-{len(times)}.npy"
        if not path.is_file():
            made, batch = self.generator, self.study.settings.sampling.batch
            found = latent_losses(made, latents, [made.start * t for t in times], batch)
            with replacing(path) as temporary, temporary.open("wb") as stream:
                np.save(stream, found)
        return np.load(path)

    def generated(self, count: int, seed: int) -> SkullSet:
        """`count` skulls in the training set's mix of scores; those that exist stay."""
        folder: Path = self.stage.folder / f"skulls-{count}"
        if not (folder / "manifest.csv").is_file():
            sampling = self.study.settings.sampling
            sampler = usual_sampler(OURS.name, sampling)
            scores = mix_of(counts(skulls(self.study, "train")), count)
            given = self.generator, folder, scores, seed, sampler, sampling.batch
            generate_skulls(*given)
        return SkullSet(folder, "train")


def subset(latents: LatentSet, items: Sequence[int]) -> LatentSet:
    """Some of the latents of a set, each as often as it is named."""
    rows = [latents.skulls[item] for item in items]
    return LatentSet(latents.folder, SkullSet(latents.data, rows[0].split, rows))
