"""The plan of chapters 8 and 9: the training sets, how often each, margins, claims.

The book's page on it (``book/evidence_plan.md``) explains every choice; `skfm study
--all`, the two chapters and the page read it here.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from skfm_lib.presets import TrainingConfig, paper_tables, preset

Published = Mapping[str, Mapping[str, Any]]  # one of `paper_tables`
SCARCE = "9 real"  # so few that both networks lack skulls
FEWEST = 36  # real skulls of "100% real", at least: two of them are of QS 6
DOUBLED = 3  # trainings of each set that is trained once more, for twice the steps
PAPERS = ("50% real", "100% real + 25% OTFM", "100% real + 25% DDPM",
          "50% real + 25% OTFM", "50% real + 25% DDPM")  # fmt: skip
PRIMARY = (
    "OTFM is better than DDPM alone",
    f"25% OTFM helps {SCARCE}",
    "a balanced set is better on QS 6",
    "OTFM alone is no worse than 100% real",
)


@dataclass(frozen=True)
class Plan:
    """What a chapter trains, and how its differences are read.

    Attributes:
        trainings: training set → the number of trainings; their seeds count from 0.
        column: of the errors, mm, which the claims are about.
        margin: mm; the largest difference that counts as none, over all skulls.
        margin_6: mm; the same on QS 6 alone.
        papers: the paper's tables that the claims are from.
        primary: the claims that are tested together, by Holm's procedure.
    """

    trainings: Mapping[str, int]
    column: str
    margin: float
    margin_6: float
    papers: tuple[Published, ...]
    primary: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """The number of trainings."""
        return sum(self.trainings.values())

    def seeds(self, skulls: int, base: int) -> dict[str, list[int]]:
        """Training set → seeds, with `skulls` real ones, of which `base` are 100 %.

        Sets that would hold all real skulls under a second name are left out.
        """
        seeds = {name: list(range(n)) for name, n in self.trainings.items()}
        if base == skulls:
            del seeds["all real"]
        return {name: own for name, own in seeds.items() if not _too_many(name, skulls)}

    def margin_of(self, quality: int | None, published: float) -> float:
        """Margin of a claim, mm: at most half of the difference that the paper has."""
        most = self.margin_6 if quality == 6 else self.margin
        return min(most, published / 2) if published > 0 else most


PLANS = {
    "aligner": Plan(
        {
            **dict.fromkeys(("100% real", "100% OTFM", "100% DDPM"), 5),
            **dict.fromkeys((SCARCE, f"{SCARCE} + 25% OTFM"), 5),
            **dict.fromkeys(("OTFM-s", "OTFM-b", "oversampled"), 5),
            **dict.fromkeys(("mirrored", "blurred", "failed DDPM", "all real"), 3),
            **dict.fromkeys(PAPERS, 3),
            "100% ours": 3,
        },
        column="raw",
        margin=1.0,
        margin_6=3.0,
        papers=(paper_tables.TABLE_2, paper_tables.TABLE_3, paper_tables.TABLE_4),
        primary=PRIMARY,
    ),
    "completer": Plan(
        {
            **dict.fromkeys(("100% real", "100% OTFM", "100% DDPM"), 5),
            **dict.fromkeys((SCARCE, f"{SCARCE} + 25% OTFM"), 5),
            **dict.fromkeys(("OTFM-s", "OTFM-b"), 3),
            **dict.fromkeys(("blurred", "failed DDPM", "138 real", "all real"), 3),
            **dict.fromkeys(PAPERS, 3),
            "100% ours": 3,
        },
        column="cd",
        margin=0.2,
        margin_6=0.2,
        papers=(paper_tables.TABLE_5, paper_tables.TABLE_6, paper_tables.TABLE_11),
    ),
}


def passes(settings: TrainingConfig, skulls: int) -> float:
    """How often a training shows the network each of so many skulls."""
    return settings.steps * settings.batch / skulls


def base_of(task: str, settings: TrainingConfig, skulls: int) -> int:
    """The real skulls that "100 % real" stands for, of all `skulls` of a study.

    So many that a training passes over them as often as the paper's (Table 10) over
    its 726, but FEWEST at least: 138 for the aligner of preset quick.

    >>> base_of("aligner", preset("quick").aligner, 726)
    138
    >>> base_of("completer", preset("quick").completer, 726)
    36
    """
    paper = preset("paper")
    papers = passes(getattr(paper, task), paper.data.train_skulls)
    equal = round(passes(settings, 1) / papers)
    return min(max(equal, FEWEST), skulls)


def rows(task: str) -> Iterator[tuple[str, int]]:
    """What the page lists: training set and number of trainings, and their sum."""
    plan = PLANS[task]
    yield from plan.trainings.items()
    yield "all", plan.total


def _too_many(name: str, skulls: int) -> bool:
    """Whether a set of a number of real skulls asks for all of them or more."""
    number, _, _ = name.partition(" ")
    return number.isdigit() and int(number) >= skulls
