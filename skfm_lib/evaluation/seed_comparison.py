"""Which model is better: in a run, in the runs of other seeds, and in the paper."""

import re
from collections.abc import Mapping

import numpy as np

from skfm_lib.evaluation.table1 import Row
from skfm_lib.metrics import Interval, difference
from skfm_lib.presets import preset
from skfm_lib.study import Stage, Study
from skfm_lib.utils.files import read_json

Rows = dict[str, Row]  # row of Table 1 → column → value


def rows_of_seeds(stage: Stage) -> dict[int, Rows]:
    """Table 1 of every finished run like this one but for its seed, by seed.

    `stage` is the finished stage of one of them.  The runs lie beside it, called as
    `study.open_study` calls them: NAME, NAME-seed1, NAME-seed2 …  One whose settings
    differ, in this stage or in any that it rests on, is left out.
    """
    base = re.sub(r"-seed\d+$", "", stage.study.name)
    found = {}
    for folder in stage.study.folder.parent.glob(f"{base}*"):
        named = re.fullmatch(re.escape(base) + r"(-seed\d+)?", folder.name)
        if not named or not (folder / stage.name / "done.json").is_file():
            continue
        about = read_json(folder / "run.json")
        study = Study(folder.name, preset(about["preset"]), about["seed"], folder)
        other = study.finished(stage.name)
        if alike(other, stage):
            found[study.seed] = _rows(other.results)
    return dict(sorted(found.items()))


def alike(one: Stage, other: Stage) -> bool:
    """Whether two stages and all that both rest on differ in nothing but the seed.

    What only one rests on does not count: a run with a few-step model is compared
    with one without, by the rows that they share.
    """
    return (
        one.study.settings.name == other.study.settings.name
        and _settings(one) == _settings(other)
        and all(
            alike(one.study.finished(name), other.study.finished(name))
            for name in one.inputs
            if name in other.inputs
        )
    )


def _settings(stage: Stage) -> dict[str, object]:
    return {key: value for key, value in stage.settings.items() if key != "seed"}


def over_seeds(rows: Mapping[int, Rows]) -> Rows:
    """Mean over the seeds, with the smallest and the largest value as ends.

    Of the rows and columns that all seeds have.
    """
    first, *others = rows.values()
    return {
        name: {
            column: _range([every[name][column].value for every in rows.values()])
            for column in row
            if all(column in other[name] for other in others)
        }
        for name, row in first.items()
        if all(name in other for other in others)
    }


def beside(
    rows: Rows, paper: Mapping[str, Mapping[str, float]]
) -> dict[str, dict[str, object]]:
    """Table 1 by metric: this study's sets, then those of the paper."""
    every = {**rows, **{f"paper: {name}": row for name, row in paper.items()}}
    columns: dict[str, dict[str, object]] = {}
    for name, row in every.items():
        for column, value in row.items():
            columns.setdefault(column, {})[name] = value
    return columns


def reading(
    rows: Rows,
    seeds: Mapping[int, Rows],
    paper: Mapping[str, Mapping[str, float]],
) -> dict[str, dict[str, str]]:
    """For each column: which of OTFM and DDPM is better here, over seeds, in the paper.

    Here it is "undecided" where the 95 % interval of the difference holds 0.
    """
    answer = {}
    for column, otfm in rows["OTFM"].items():
        gap, higher = difference(otfm, rows["DDPM"][column]), column.endswith("↑")
        decided = gap.low > 0 or gap.high < 0
        wins = [
            _better(every["OTFM"][column].value, every["DDPM"][column].value, higher)
            for every in seeds.values()
        ]
        answer[column] = {
            "this run": _better(gap.value, 0, higher) if decided else "undecided",
            "seeds": f"OTFM in {wins.count('OTFM')} of {len(wins)}",
            "paper": "not given",
        }
        if column in paper["OTFM"]:
            pair = paper["OTFM"][column], paper["DDPM"][column]
            answer[column]["paper"] = _better(*pair, higher)
    return answer


def _better(otfm: float, ddpm: float, higher: bool) -> str:
    if otfm == ddpm:
        return "equal"
    return "OTFM" if (otfm > ddpm) == higher else "DDPM"


def _range(values: list[float]) -> Interval:
    return Interval(float(np.mean(values)), min(values), max(values))


def _rows(results: Mapping[str, Mapping[str, Mapping[str, float]]]) -> Rows:
    """The intervals that a stage's record holds as plain values."""
    return {
        name: {column: Interval(**value) for column, value in row.items()}
        for name, row in results.items()
    }
