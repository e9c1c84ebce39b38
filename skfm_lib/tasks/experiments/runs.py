"""The experiments as a grid: a cell for each training set and seed of a task.

A cell is a run of its own below the study's: it resumes where it was stopped, and is
kept under what it was made from, so that another grid finds it again.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pandas as pd
from torch import nn

from skfm_lib import presets
from skfm_lib.study import Stage, Study
from skfm_lib.tasks import alignment, completion
from skfm_lib.tasks.experiments.skull_pool import SkullPool, sampler_of, stages_of
from skfm_lib.tasks.experiments.training_sets import mix_called
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.seeding import seed_of

DRAWN = 200  # points of a kept history, at most


@dataclass(frozen=True)
class Task:
    """What a cell trains, and how it is tried on the test skulls.

    errors  (network, material, device, seed of the test) → a row for each skull
    """

    name: str
    folder: str
    train: Callable[..., tuple[nn.Module, dict[str, list[float]]]]
    load: Callable[..., nn.Module]
    errors: Callable[[nn.Module, SkullPool, Device, int], pd.DataFrame]


ALIGNMENT = Task(
    "aligner",
    "08_cells",
    alignment.train_aligner,
    alignment.load_aligner,
    lambda model, pool, device, seed: alignment.alignment_errors(
        model, pool.test, device, seed
    ),
)
COMPLETION = Task(
    "completer",
    "09_cells",
    completion.train_completer,
    completion.load_completer,
    lambda model, pool, device, seed: completion.completion_errors(
        model, pool.test, pool.held_out, device, seed
    ),
)


@dataclass(frozen=True)
class Experiments:
    """One task's grid in one study; every cell is tried on the same test."""

    study: Study
    task: Task
    settings: presets.TrainingConfig
    device: Device = field(default_factory=pick_device)

    def run(
        self, pool: SkullPool, trainings: Mapping[str, Sequence[int]]
    ) -> pd.DataFrame:
        """The errors of all cells, those that are missing trained now.

        trainings  set → the seeds with which it is trained

        One row for each test skull of each cell, with columns ``set`` and ``seed``
        before those of the task's errors.
        """
        tables = []
        for name, seed in _seed_by_seed(trainings):
            cell = self.cell(name, seed)
            if not cell.done:
                self._train(cell, pool, name, seed)
            table = pd.DataFrame(cell.results["errors"])
            table.insert(0, "seed", seed)
            table.insert(0, "set", name)
            tables.append(table)
        return pd.concat(tables, ignore_index=True)

    def cell(self, name: str, seed: int) -> Stage:
        """The run of one training set and seed, finished or not."""
        mix = mix_called(name)
        settings = {
            "seed": seed_of(self.study.seed, "cell", seed),
            "set": name,
            self.task.name: self.settings.as_dict(),
        }
        if mix.model:
            settings["sampler"] = sampler_of(self.study, mix.model).as_dict()
        label = name.replace("%", "").replace(" + ", "+").replace(" ", "-").lower()
        label, after = f"{label}-{seed}", stages_of([name])
        return self.study.experiment(self.task.folder, label, settings, after)

    def network(self, name: str, seed: int) -> nn.Module:
        """The network that a finished cell trained."""
        return self.task.load(self.cell(name, seed), self.settings, self.device)

    def history(self, name: str, seed: int) -> dict[str, list[float]]:
        """The losses of a finished cell, averaged over at most `DRAWN` stretches."""
        return self.cell(name, seed).results["history"]

    def _train(self, cell: Stage, pool: SkullPool, name: str, seed: int) -> None:
        clouds = pool.training(name, seed)
        model, history = self.task.train(cell, clouds, self.settings, self.device)
        errors = self.task.errors(model, pool, self.device, self.study.seed)
        cell.finish(
            errors=errors.to_dict("list"),
            history={key: thinned(values) for key, values in history.items()},
            skulls=len(clouds),
        )
        (cell.folder / "checkpoint.pt").unlink()  # three times the weights


def _seed_by_seed(trainings: Mapping[str, Sequence[int]]) -> list[tuple[str, int]]:
    """All sets with one seed, then with the next one; each pair once."""
    seeds = dict.fromkeys(seed for own in trainings.values() for seed in own)
    return [(n, seed) for seed in seeds for n, own in trainings.items() if seed in own]


def thinned(values: Sequence[float]) -> list[float]:
    """Means of equal stretches of a history: at most `DRAWN` of them."""
    width = -(-len(values) // DRAWN)
    parts = [values[i : i + width] for i in range(0, len(values), width)]
    return [sum(part) / len(part) for part in parts]
