"""Trainings of the three models with several seeds, and the skulls they generate.

Each training is an experiment of the study (`Study.experiment`): a finished one is
kept, and an interrupted one resumes.  Its averaged weights are kept after several
steps, and the skulls of each of them lie in its folder.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from skfm_lib.data.dataset import SkullSet
from skfm_lib.generation import (
    LABELS,
    Sampler,
    SkullGenerator,
    generate_skulls,
    generator_of,
)
from skfm_lib.samplers import METHODS
from skfm_lib.samplers.diffusion import schedule
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.denoiser import OBJECTIVES, train_denoiser, weights_after
from skfm_lib.training.latents import LatentScale, LatentSet
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

FOLDER = "16_experiments"
MODELS = ("otfm", "ddpm", "ddpm-v")


@dataclass(frozen=True)
class Plan:
    """What is trained and sampled.

    Attributes:
        seeds: of the trainings; each draws other batches, times, noise and weights.
        training_steps: after which weights are kept; the largest is the training.
        sampling_steps: S of the sets from the final weights.
        steps: S of all other sets.
        starts: the first τ of diffusion samplers that do not start at T.
        timesteps: T.

    Raises:
        SkfmError: for an empty list, and for steps that a sampler does not have.
    """

    seeds: Sequence[int]
    training_steps: Sequence[int]
    sampling_steps: Sequence[int]
    steps: int
    starts: Sequence[int]
    timesteps: int

    def __post_init__(self) -> None:
        for name in ("seeds", "training_steps", "sampling_steps", "starts"):
            if not getattr(self, name):
                raise SkfmError(f"no {name}", "at least one")
        if min(self.training_steps) < 1:
            raise SkfmError(f"training steps {min(self.training_steps)}", "at least 1")
        for steps in (*self.sampling_steps, self.steps):
            list(schedule(steps, self.timesteps))
        for tau in self.starts:
            list(schedule(self.steps, self.timesteps, tau / self.timesteps))

    @property
    def points(self) -> list[tuple[int, int]]:
        """(training steps, sampling steps) of the sets of every training."""
        last = max(self.training_steps)
        trained = [(step, self.steps) for step in sorted(self.training_steps)]
        sampled = [(last, steps) for steps in sorted(self.sampling_steps)]
        return list(dict.fromkeys(trained + sampled))


@dataclass(frozen=True)
class Training:
    """A finished training of a model."""

    stage: Stage
    model: str
    seed: int

    @property
    def name(self) -> str:
        """Such as ``DDPM-v, seed 1``."""
        return f"{LABELS[self.model]}, seed {self.seed}"

    def generator(self, step: int, clamp: bool = True) -> SkullGenerator:
        """With the averaged weights after a step; without `clamp`, x̂_0 is free."""
        found = generator_of(self.stage, self.model, weights_after(step))
        if clamp:
            return found
        return replace(found, scale=replace(found.scale, bounds=None))

    def sampler(self, steps: int, start: float = 1.0) -> Sampler:
        """The paper's sampler of the model."""
        return Sampler(METHODS[self.model][0], steps, start=start)

    def sample(
        self,
        step: int,
        sampler: Sampler,
        qualities: Sequence[int],
        seed: int,
        clamp: bool = True,
    ) -> SkullSet:
        """Skulls of these scores from the weights after a step; existing ones are kept.

        All sets of one `seed` start from the same noise.
        """
        words = [f"{step:06d}", sampler.method, str(sampler.steps)]
        words += [f"from-{sampler.start:.4g}"] if sampler.start != 1 else []
        words += [] if clamp else ["free"]
        folder: Path = self.stage.folder / "skulls" / "-".join(words)
        batch = self.stage.study.settings.sampling.batch
        generator = self.generator(step, clamp)
        generate_skulls(generator, folder, qualities, seed, sampler, batch)
        return SkullSet(folder, "train")


def train(
    study: Study,
    plan: Plan,
    latents: LatentSet,
    scale: LatentScale,
    device: Device,
) -> list[Training]:
    """All models with all seeds of the plan, with the settings of the preset.

    They share latents, batches, times and noise, but for those that depend on the
    seed.  Those that are not finished are trained now.
    """
    kept = sorted(plan.training_steps)
    settings = study.settings.denoiser.but(steps=kept[-1])
    found = []
    for seed in plan.seeds:
        for model in MODELS:
            chosen = {"seed": seed, "objective": model, "kept": kept}
            chosen["denoiser"] = settings.as_dict()
            label, after = f"{model}-{seed}", (stage_names.VQVAE,)
            seeded = replace(study, seed=seed)
            stage = seeded.experiment(FOLDER, label, chosen, after)
            if not stage.done:
                given = OBJECTIVES[model], latents, scale, settings, device, kept
                _, history = train_denoiser(stage, *given)
                stage.finish(loss=history["loss"][-100:])
                (stage.folder / "checkpoint.pt").unlink()  # three times the weights
            found.append(Training(stage, model, seed))
    return found
