"""What a chapter trains: the plan's sets and seeds, or those that the user gives."""

from collections.abc import Sequence
from typing import NamedTuple

from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Study
from skfm_lib.study.data_stage import split_counts
from skfm_lib.tasks.alignment import ALIGNMENT
from skfm_lib.tasks.completion import COMPLETION
from skfm_lib.tasks.experiments.mixes import seeds_of
from skfm_lib.tasks.experiments.plan import PLANS, base_of
from skfm_lib.tasks.experiments.runs import Experiments
from skfm_lib.utils.errors import SkfmError

ALL, FINISHED, EVERY = "all", "finished", "all real"
TASKS = {task.name: task for task in (ALIGNMENT, COMPLETION)}


class Grid(NamedTuple):
    """What a chapter trains.

    Attributes:
        trainings: training set → seeds.
        base: the number of skulls of "100% real"; None for all.
        left: the number of trainings of the plan that are left for later.
    """

    trainings: dict[str, list[int]]
    base: int | None = None
    left: int = 0

    @property
    def shown(self) -> str:
        """The set whose network is shown and used by the tools: all real skulls."""
        return EVERY if EVERY in self.trainings else next(iter(self.trainings))

    @property
    def seed(self) -> int:
        """The seed of that network."""
        return self.trainings[self.shown][0]


def chosen_grid(
    study: Study,
    task: str,
    settings: TrainingConfig,
    sets: Sequence[str],
    seeds: Sequence[int],
    base: int | None = None,
    plan: str | None = None,
    generators: Sequence[str] = (),
) -> Grid:
    """The `planned_grid` where a plan is given; else these sets with all seeds.

    "all" stands for the paper's sets.
    """
    if plan is not None:
        return planned_grid(study, task, settings, base, plan, generators)
    return Grid(seeds_of(sets, seeds), base)


def planned_grid(
    study: Study,
    task: str,
    settings: TrainingConfig,
    base: int | None = None,
    plan: str = ALL,
    generators: Sequence[str] = (),
) -> Grid:
    """The grid of the plan of a task, "aligner" or "completer".

    Args:
        settings: of the trainings.
        base: by default, it follows from the settings (`plan.base_of`).
        plan: "all"; how many trainings of each set, at most; or "finished", those that
            are, and the one whose network the tools use.  Others are left.
        generators: as for `Experiments`.

    Raises SkfmError for another `plan`.
    """
    if plan not in (ALL, FINISHED) and not (plan.isdecimal() and int(plan)):
        expected = f"{ALL!r}, {FINISHED!r}, or a number of trainings of each set"
        raise SkfmError(f"plan {plan!r}", expected, "-p plan all")
    skulls = sum(split_counts(study)["train"].values())
    base = base_of(task, settings, skulls) if base is None else base
    every = PLANS[task].seeds(skulls, base)
    if plan == FINISHED:
        runs = Experiments(
            study, TASKS[task], settings, base=base, generators=generators
        )
        now = _finished(runs, every)
    else:
        most = None if plan == ALL else int(plan)
        now = {name: seeds[:most] for name, seeds in every.items()}
    left = sum(map(len, every.values())) - sum(map(len, now.values()))
    return Grid(now, base, left)


def _finished(runs: Experiments, every: dict[str, list[int]]) -> dict[str, list[int]]:
    """The trainings that are finished, and that of the network which the tools use."""
    tools = Grid(every).shown, 0
    found = {
        name: [s for s in seeds if (name, s) == tools or runs.stage(name, s).done]
        for name, seeds in every.items()
    }
    return {name: seeds for name, seeds in found.items() if seeds}
