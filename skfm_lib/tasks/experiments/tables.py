"""The paper's Tables 2–6 and 11 of this study's errors, the paper's own beside."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from skfm_lib.metrics import Interval
from skfm_lib.presets import QUALITY_SCORES, paper_tables
from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.statistics import Answer, errors_of

Rows = dict[str, dict[str, object]]
SCORES = {"overall": None, **{f"QS {q}": q for q in QUALITY_SCORES}}
CHAMFER = {"CD": "cd", "Acc": "accuracy", "Comp": "completeness"}  # Tables 5, 6


def set_called(row: str, column: str) -> str:
    """The training set of a place in Tables 2, 3, 5 and 6."""
    if row == "real only":
        return column
    if row == "+25% OTFM":
        return f"{column} + 25% OTFM"
    return column.replace("synth", row)


def comparison(
    table: pd.DataFrame,
    papers: Mapping[str, Mapping[str, float | tuple[float, ...]]],
    columns: Mapping[str, str],
) -> Rows:
    """The sets of one of the paper's tables: this study's errors, and the paper's.

    papers   `paper_tables.TABLE_2`, 3, 5 or 6
    columns  what a value is called → its column of `table`, in the paper's order

    Means in mm, with 95 % intervals; a set that was not tried is left empty.
    """
    rows: Rows = {}
    for row, places in papers.items():
        for place, told in places.items():
            name = set_called(row, place)
            found = {key: _mean(table, name, column) for key, column in columns.items()}
            values = zip(columns, np.atleast_1d(told))
            rows[name] = found | {f"paper: {key}": value for key, value in values}
    return rows


def by_quality(
    table: pd.DataFrame, papers: Mapping[str, Mapping[str, float]], column: str
) -> Rows:
    """Table 4 or 11: sets by quality score, then the paper's, mm.

    "overall" is the mean over all skulls; the paper's is, too (weighted by its
    numbers of skulls, its scores give it).
    """
    rows = {
        row: {title: _mean(table, row, column, q) for title, q in SCORES.items()}
        for row in papers
    }
    told = {
        f"paper: {row}": {title: value for title, value in values.items()}
        for row, values in papers.items()
    }
    return rows | told


def columns_by_quality(table: pd.DataFrame, name: str, columns: Sequence[str]) -> Rows:
    """One set's errors, a row a column of `table`: over all skulls and by score, mm."""
    return {
        column: {title: _mean(table, name, column, q) for title, q in SCORES.items()}
        for column in columns
    }


def ways(table: pd.DataFrame, name: str) -> Rows:
    """One set's errors in the defect by the way of filling it, mm."""
    columns = {**CHAMFER, "surface": "surface"}
    return {
        way: {title: _mean(rows, name, column) for title, column in columns.items()}
        for way, rows in table.groupby("way", sort=False)
    }


def against(table: pd.DataFrame, name: str, way: str, other: str) -> Rows:
    """How much closer one way of filling comes than another, CD, paired; mm."""
    own = table[table["set"] == name]
    both = pd.concat(own[own["way"] == w].assign(set=w) for w in (way, other))
    found = statistics.contrast(both, statistics.better(way, other), "cd")
    return {f"{way} against {other}": {"closer by, mm": found}}


def means(table: pd.DataFrame, column: str) -> dict[str, Interval]:
    """For a stage's record: each set's mean over the test skulls, with interval."""
    return {
        name: statistics.mean(errors_of(table, name, column))
        for name in table["set"].unique()
    }


def over_seeds(table: pd.DataFrame, column: str) -> Rows:
    """For each set tried: the mean over the test skulls, a column a training, mm."""
    rows: Rows = {}
    for name in table["set"].unique():
        means = errors_of(table, name, column).mean(axis=1)
        seeds = sorted(table[table["set"] == name]["seed"].unique())
        rows[name] = {f"seed {s}": float(m) for s, m in zip(seeds, means)}
    return rows


def verdicts(
    answers: Sequence[Answer], told: Mapping[str, Mapping[str, float]]
) -> Rows:
    """The paper's claims: how much better here, in the paper, and the verdict.

    told  what the paper says: set → "overall" or "QS 6" → mm (`paper_errors`)

    A claim without an answer was not tried.
    """
    tried = {answer.claim.text: answer for answer in answers}
    rows: Rows = {}
    for claim in statistics.CLAIMS:
        column = f"QS {claim.quality}" if claim.quality else "overall"
        paper_gap = sum(w * told[name][column] for name, w in claim.contrast.items())
        row = {
            "better by, mm": "",
            "in the paper": paper_gap,
            "seeds": "",
            "verdict": "not tried",
        }
        if answer := tried.get(claim.text):
            row |= {"better by, mm": answer.found, "seeds": answer.seeds}
            row["verdict"] = statistics.verdict(answer.found, answer.seeds)
        rows[claim.text] = row
    return rows


def paper_errors(*tables: Mapping[str, Mapping]) -> dict[str, dict[str, float]]:
    """What the paper's tables say of each set: "overall", and by score where it does.

    tables  of `paper`; of triples the first, the Chamfer distance, counts
    """
    found: dict[str, dict[str, float]] = {}
    for table in tables:
        for row, places in table.items():
            if "overall" in places:
                found.setdefault(row, {}).update(places)
                continue
            for place, value in places.items():
                overall = float(np.atleast_1d(value)[0])
                found.setdefault(set_called(row, place), {})["overall"] = overall
    return found


PAPER_ALIGNMENT = paper_errors(
    paper_tables.TABLE_2, paper_tables.TABLE_3, paper_tables.TABLE_4
)
PAPER_COMPLETION = paper_errors(
    paper_tables.TABLE_5, paper_tables.TABLE_6, paper_tables.TABLE_11
)


def _mean(
    table: pd.DataFrame, name: str, column: str, quality: int | None = None
) -> Interval | None:
    """Mean of a set's errors; None where the set or the score was not tried."""
    errors = errors_of(table, name, column, quality)
    return statistics.mean(errors) if errors.size else None
