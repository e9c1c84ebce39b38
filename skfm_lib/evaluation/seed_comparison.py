"""Which model is better: in one run, over runs of other seeds, and in the paper."""

import re
from collections.abc import Mapping, Sequence
from statistics import median
from typing import NamedTuple

from skfm_lib.evaluation.table1_columns import Row
from skfm_lib.metrics import Interval
from skfm_lib.presets import preset
from skfm_lib.study import Stage, Study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json

Rows = dict[str, Row]  # row of Table 1 → column → value
PaperTable = Mapping[str, Mapping[str, float]]
MODELS = ("OTFM", "DDPM")


def rows_of_seeds(stage: Stage) -> dict[int, Rows]:
    """Table 1 of every finished run that differs from this one in its seed only.

    `stage` is the finished stage of one of them.  The runs are beside it, named as
    by `study.open_study`: NAME, NAME-seed1, NAME-seed2 …  One whose settings differ,
    in this stage or in any of its inputs, is left out, and so is a stale one.
    """
    base = re.sub(r"-seed\d+$", "", stage.study.name)
    found = {}
    for folder in stage.study.folder.parent.glob(f"{base}*"):
        named = re.fullmatch(re.escape(base) + r"(-seed\d+)?", folder.name)
        if not named or not (folder / "run.json").is_file():
            continue
        about = read_json(folder / "run.json")
        study = Study(folder.name, preset(about["preset"]), about["seed"], folder)
        try:
            other = study.finished(stage.name)
        except SkfmError:  # not finished, or stale
            continue
        if same_settings(other, stage):
            found[study.seed] = {
                name: {column: Interval(**value) for column, value in row.items()}
                for name, row in other.results.items()
            }
    return dict(sorted(found.items()))


def same_settings(one: Stage, other: Stage) -> bool:
    """Whether two stages, and all inputs that both have, differ in the seed only.

    Inputs of only one of them do not count: a run with a few-step model is compared
    with one without it by the rows that both have.
    """
    return (
        one.study.settings.name == other.study.settings.name
        and {**one.settings, "seed": None} == {**other.settings, "seed": None}
        and all(
            same_settings(one.study.finished(name), other.study.finished(name))
            for name in one.inputs
            if name in other.inputs
        )
    )


class OverSeeds(NamedTuple):
    """The values of a metric, one a seed; shown with their median before them.

    >>> print(OverSeeds((21.0, 81.0, 2190.0)), OverSeeds((3.0,)))
    81 (21, 81, 2.19e+03) 3
    """

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The median, which one wild training does not move."""
        return median(self.values)

    def __str__(self) -> str:
        every = ", ".join(f"{value:.3g}" for value in self.values)
        return f"{self.median:.3g} ({every})" if len(self.values) > 1 else every


def over_seeds(rows: Mapping[int, Rows]) -> dict[str, dict[str, OverSeeds]]:
    """The values that all seeds have, in the order of the seeds."""
    first, *others = rows.values()
    return {
        name: {
            column: OverSeeds(tuple(r[name][column].value for r in rows.values()))
            for column in row
            if all(column in other[name] for other in others)
        }
        for name, row in first.items()
        if all(name in other for other in others)
    }


def by_metric(
    rows: Mapping[str, Mapping[str, object]], paper: PaperTable
) -> dict[str, dict[str, object]]:
    """Table 1 transposed: metric → this study's sets, then those of the paper."""
    given = {f"paper: {name}": row for name, row in paper.items()}
    every: dict[str, Mapping[str, object]] = {**rows, **given}
    metrics = dict.fromkeys(metric for row in every.values() for metric in row)
    return {
        metric: {name: row[metric] for name, row in every.items() if metric in row}
        for metric in metrics
    }


def better_model(
    gap: Row, seeds: Mapping[int, Rows], paper: PaperTable
) -> dict[str, dict[str, object]]:
    """Metric → which of OTFM and DDPM is better: in this run, over seeds, in the paper.

    `gap` is the row of OTFM minus that of DDPM, by paired draws (`SetResult.minus`).
    In this run it is "undecided" where the 95 % interval of the difference holds 0.
    """
    found: dict[str, dict[str, object]] = {}
    for column, (value, low, high) in gap.items():
        higher, decided = column.endswith("↑"), low > 0 or high < 0
        values = [[s[name][column].value for name in MODELS] for s in seeds.values()]
        wins = [_better(pair, higher) for pair in values].count("OTFM")
        given = [paper[name][column] for name in MODELS if column in paper[name]]
        found[column] = {
            "OTFM − DDPM": Interval(value, low, high),
            "this run": _better([value, 0], higher) if decided else "undecided",
            "seeds": f"OTFM in {wins} of {len(seeds)}",
            "paper": _better(given, higher) if given else "not given",
        }
    return found


def _better(values: Sequence[float], higher: bool) -> str:
    otfm, ddpm = values
    if otfm == ddpm:
        return "equal"
    return "OTFM" if (otfm > ddpm) == higher else "DDPM"
