"""The experiments as a grid: one for each training set and seed of a task.

An experiment resumes where it was stopped, and is kept under its settings, so that
another grid finds it again.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from torch import nn

from skfm_lib.presets import AlignerConfig, TrainingConfig
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.tasks.alignment import ALIGNMENT
from skfm_lib.tasks.experiments.mixes import mix_of
from skfm_lib.tasks.experiments.skull_pool import (
    SkullPool,
    generator_of,
    sampler_of,
    stages_of,
)
from skfm_lib.tasks.icp_baseline import icp_errors
from skfm_lib.tasks.task import History, Task
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.seeding import seed_of

RECORDED = 200  # points of a recorded history, at most


@dataclass(frozen=True)
class Experiments:
    """One task's grid in one study; all experiments share the test.

    `base` and `generators` are those of the pool of skulls (`skull_pool.gather`).
    """

    study: Study
    task: Task
    settings: TrainingConfig
    device: Device = field(default_factory=pick_device)
    base: int | None = None
    generators: Sequence[str] = ()

    def run(
        self, pool: SkullPool, trainings: Mapping[str, Sequence[int]]
    ) -> pd.DataFrame:
        """The errors of all experiments, with columns ``set``, ``seed``, ``generator``.

        `trainings`: training set → its seeds.  Missing experiments are trained now.
        """
        # All sets with one seed come before the next seed; each pair once.
        seeds = dict.fromkeys(seed for own in trainings.values() for seed in own)
        tables = []
        for seed in seeds:
            for name in (name for name, own in trainings.items() if seed in own):
                stage = self.stage(name, seed)
                if not stage.done:
                    self._train(stage, pool, name, seed)
                errors = stage.results["errors"]
                about = {"set": name, "seed": seed, "generator": self._turn(seed)}
                tables.append(pd.DataFrame({**about, **errors}))
        return pd.concat(tables, ignore_index=True)

    def stage(self, name: str, seed: int) -> Stage:
        """The experiment of one training set and seed, finished or not."""
        mix = mix_of(name)
        settings: dict[str, object] = {
            # "cell" is kept from former versions: it is part of every seed.
            "seed": seed_of(self.study.seed, "cell", seed),
            "set": name,
            self.task.name: self.settings.as_dict(),
        }
        if self.base is not None and not mix.every:
            settings["base"] = self.base
        if mix.generator:
            settings["sampler"] = sampler_of(self.study, mix.model).as_dict()
        if mix.generator and (turn := self._turn(seed)):
            run = self.generators[turn - 1]
            settings["generator"] = generator_of(self.study, run, mix.model)
        label = name.replace("%", "").replace(" + ", "+").replace(" ", "-").lower()
        label, after = f"{label}-{seed}", stages_of([name])
        return self.study.experiment(self.task.folder, label, settings, after)

    def network(self, name: str, seed: int) -> nn.Module:
        """The network that a finished experiment trained."""
        return self.task.load(self.stage(name, seed), self.settings, self.device)

    def history(self, name: str, seed: int) -> History:
        """The losses of a finished experiment: at most `RECORDED` averages."""
        return self.stage(name, seed).results["history"]

    def _turn(self, seed: int) -> int:
        """Which generators a seed uses: 0 for the study's own."""
        return seed % (1 + len(self.generators))

    def _train(self, stage: Stage, pool: SkullPool, name: str, seed: int) -> None:
        clouds = pool.training(name, seed)
        given = stage, clouds, self.settings, self.device
        model, history = self.task.train(*given, f"{name}, seed {seed}")
        errors = self.task.errors(
            model, pool.test, pool.held_out, self.device, self.study.seed
        )
        stage.finish(
            errors=errors.to_dict("list"),
            history={key: averaged(values) for key, values in history.items()},
            skulls=len(clouds),
        )
        (stage.folder / "checkpoint.pt").unlink()  # three times the weights


def open_stage(
    study: Study,
    task: Task,
    settings: TrainingConfig,
    compared: TrainingConfig,
    sets: Iterable[str],
    **more: object,
) -> Stage:
    """Begin a task's chapter: the stage that records all that its results depend on.

    Args:
        settings: of the training whose network is shown and used by the tools.
        compared: of the trainings that are compared.
        sets: the training sets, alone or with their seeds.
        more: further settings of the comparison.
    """
    recorded = {
        task.name: settings.as_dict(),
        "compared": compared.as_dict(),
        "evaluations": study.settings.sampling.steps,
        "sets": sets,
        **more,
    }
    return study.stage(task.stage, recorded, stages_of(sets))


def closest_points(
    study: Study, pool: SkullPool, settings: AlignerConfig
) -> dict[str, float]:
    """The `icp_errors` of the test skulls, mm, computed once for a study."""
    names = ("points", "degrees", "millimetres")
    chosen = {name: getattr(settings, name) for name in names}
    chosen["seed"] = study.seed
    stage = study.experiment(
        ALIGNMENT.folder, "closest-points", chosen, (stage_names.DATA,)
    )
    if not stage.done:
        stage.finish(errors=icp_errors(pool.test, settings, study.seed))
    return stage.results["errors"]


def averaged(values: Sequence[float]) -> list[float]:
    """Means of equally long parts of a history: at most `RECORDED` of them."""
    width = -(-len(values) // RECORDED)
    parts = [values[i : i + width] for i in range(0, len(values), width)]
    return [sum(part) / len(part) for part in parts]
