"""Trainings of the models, each an experiment of the study, and their skulls.

A finished training is kept, and an interrupted one resumes (`Study.experiment`).  Its
folder holds its averaged weights after several steps, another average of the last
ones, and the skulls of each.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.screening import measure_skulls
from skfm_lib.generation import (
    Sampler,
    SkullGenerator,
    generate_skulls,
    generator_of,
    guided_by,
)
from skfm_lib.presets import DenoiserConfig
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.averages import Decay, exponential, power_function
from skfm_lib.training.denoiser import OTFM, WEIGHTS, train_denoiser, weights_after
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json

FOLDER = "18_experiments"
OTHER = "denoiser-other-average.safetensors"
PARTS = (1 / 8, 1 / 4, 1 / 2)  # of the steps, after which weights are kept
FEWEST = 8  # steps of a training, so that an eighth is one


@dataclass(frozen=True)
class Training:
    """A training of the U-Net as a flow.

    Attributes:
        study: whose seed is that of the training.
        base: with whose settings its own are compared for the folder's name.
        settings: of the denoiser.

    Raises:
        SkfmError: for fewer than `FEWEST` steps.
    """

    study: Study
    base: str
    settings: DenoiserConfig

    def __post_init__(self) -> None:
        if self.settings.steps < FEWEST:
            raise SkfmError(
                f"{self.settings.steps} training steps", f"{FEWEST} or more"
            )

    @property
    def label(self) -> str:
        """Such as ``ours-copied-0``: what differs from the base, and the seed."""
        presets = self.study.settings
        base = presets.ours if self.base == "ours" else presets.denoiser
        own = vars(self.settings)
        changed = [k for k, v in vars(base).items() if own[k] != v and k != "steps"]
        return "-".join([self.base, *changed, str(self.study.seed)])

    @property
    def kept(self) -> list[int]:
        """The steps before the last after which weights are kept (`PARTS`)."""
        return sorted({round(self.settings.steps * part) for part in PARTS})

    @property
    def guide(self) -> str:
        """The file of the weights for autoguidance."""
        return weights_after(self.kept[0])

    @cached_property
    def stage(self) -> Stage:
        """The experiment, finished or not."""
        chosen = {"seed": self.study.seed, "denoiser": self.settings.as_dict()}
        chosen |= {"kept": self.kept, "other average": self._other[0]}
        after = (stage_names.VQVAE,)
        return self.study.experiment(FOLDER, self.label, chosen, after)

    @property
    def seconds(self) -> float:
        """What the finished training took, also where it was interrupted."""
        return float(self.stage.results["seconds"])

    def train(self, latents: LatentSet, scale: LatentScale, device: Device) -> None:
        """Train it, unless that is finished."""
        stage = self.stage
        if stage.done:
            return
        averages = {OTHER: self._other[1]}
        with _timed(stage.folder / "seconds.json"):
            given = stage, OTFM, latents, scale, self.settings, device
            _, history = train_denoiser(*given, self.kept, averages)
        seconds = read_json(stage.folder / "seconds.json", "seconds")["seconds"]
        stage.finish(loss=history["loss"][-100:], seconds=seconds)
        (stage.folder / "checkpoint.pt").unlink()  # four times the weights

    @property
    def _other(self) -> tuple[str, Decay]:
        """The average that its base does not have: what it is, and its decay."""
        if self.settings.average_lengths:
            decay = self.settings.ema_decay
            return f"exponential, {decay:g}", exponential(decay)
        length = self.study.settings.ours.average_lengths[0]
        return f"power function, {length:g}", power_function(length)


@dataclass(frozen=True)
class Source:
    """Where a set of skulls comes from: the weights of a training, and a sampler.

    Attributes:
        file: of the weights.
        guide: file of the weights that guide them; "" for none.
        linear: the linear shape model alone, without its flow.
    """

    training: Training
    sampler: Sampler
    file: str = WEIGHTS
    guide: str = ""
    linear: bool = False

    @property
    def evaluations(self) -> int:
        """Evaluations of a network per skull."""
        return 0 if self.linear else self.sampler.evaluations

    @property
    def generator(self) -> SkullGenerator:
        """The generator of the finished training."""
        stage = self.training.stage
        made = generator_of(stage, OTFM.name, self.file)
        if self.linear:
            return replace(made, start=0.0, trained=f"{made.trained}, linear model")
        return guided_by(made, stage, self.guide) if self.guide else made

    def skulls(self, qualities: Sequence[int], seed: int) -> SkullSet:
        """Skulls of these scores; those that exist are kept.

        All sets of one `seed` start from the same noise.
        """
        folder = self._folder(len(qualities))
        if not (folder / "manifest.csv").is_file():
            batch = self.training.study.settings.sampling.batch
            given = folder, qualities, seed, self.sampler, batch
            generate_skulls(self.generator, *given)
        return SkullSet(folder, "train")

    def measures(self, count: int) -> Path:
        """The file of the measures of `count` skulls."""
        return self._folder(count) / "measures.npz"

    def prepare(self, qualities: Sequence[int], seed: int) -> None:
        """Generate skulls and measure them, unless that is done."""
        kept = self.measures(len(qualities))
        if not kept.is_file():
            measure_skulls(self.skulls(qualities, seed), "skulls", kept)

    def _folder(self, count: int) -> Path:
        sampler = self.sampler
        words = [Path(self.file).stem, sampler.method, str(sampler.steps)]
        words += [f"symmetric-{sampler.symmetric:g}"] if sampler.symmetric else []
        words += [f"guidance-{sampler.guidance:g}"] if sampler.guidance != 1 else []
        words += [f"by-{Path(self.guide).stem}"] if self.guide else []
        words += ["linear"] if self.linear else []
        return self.training.stage.folder / f"skulls-{count}" / "-".join(words)


@contextmanager
def _timed(path: Path) -> Iterator[None]:
    """Add the seconds of the block, also of one that is interrupted, to a file."""
    before = read_json(path, "seconds")["seconds"] if path.is_file() else 0.0
    started = time.monotonic()
    try:
        yield
    finally:
        write_json(path, {"seconds": round(before + time.monotonic() - started, 1)})
