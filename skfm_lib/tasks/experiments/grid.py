"""What a chapter trains: the plan's sets and seeds, or those that the user gives."""

from collections.abc import Sequence
from typing import NamedTuple

from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Study
from skfm_lib.study.data_stage import split_counts
from skfm_lib.tasks.experiments.mixes import seeds_of
from skfm_lib.tasks.experiments.plan import PLANS, base_of

EVERY = "all real"


class Grid(NamedTuple):
    """Training set → seeds; the number of skulls of "100% real", None for all."""

    trainings: dict[str, list[int]]
    base: int | None = None

    @property
    def shown(self) -> str:
        """The set whose network is shown and used by the tools: all real skulls."""
        return EVERY if EVERY in self.trainings else next(iter(self.trainings))

    @property
    def seed(self) -> int:
        """The seed of that network."""
        return self.trainings[self.shown][0]


def chosen_grid(
    sets: Sequence[str], seeds: Sequence[int], base: int | None = None
) -> Grid:
    """The grid of these sets, each with all seeds; "all" stands for the paper's."""
    return Grid(seeds_of(sets, seeds), base)


def planned_grid(
    study: Study, task: str, settings: TrainingConfig, base: int | None = None
) -> Grid:
    """The grid of the plan of a task, "aligner" or "completer".

    `settings` are those of the trainings.  By default, the number of real skulls
    follows from them (`plan.base_of`).
    """
    skulls = sum(split_counts(study)["train"].values())
    base = base_of(task, settings, skulls) if base is None else base
    return Grid(PLANS[task].seeds(skulls, base), base)
