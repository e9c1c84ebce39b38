"""The paper's Tables 2–6 and 11 for this study, beside the paper's own numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from skfm_lib.metrics import Interval
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.statistics import errors_of

Rows = dict[str, dict[str, Any]]
Published = Mapping[str, Mapping[str, Any]]  # one of `paper_tables`
CHAMFER = {"CD": "cd", "Acc": "accuracy", "Comp": "completeness"}  # Tables 5, 6


def set_name(row: str, column: str) -> str:
    """The training set of a row and column of Tables 2, 3, 5 and 6."""
    if row == "real only":
        return column
    if row == "+25% OTFM":
        return f"{column} + 25% OTFM"
    return column.replace("synth", row)


def comparison(
    table: pd.DataFrame, papers: Published, columns: Mapping[str, str]
) -> Rows:
    """The sets of Table 2, 3, 5 or 6 (`papers`): this study's means, and the paper's.

    `columns` are those of `table` by the names of the paper's values, in its order.
    In mm, with 95 % intervals; None for sets that were not trained.
    """
    rows: Rows = {}
    for row, values in papers.items():
        for column, value in values.items():
            name, published = set_name(row, column), np.atleast_1d(value)
            rows[name] = {k: _mean(table, name, c) for k, c in columns.items()}
            rows[name] |= {f"paper: {k}": v for k, v in zip(columns, published)}
    return rows


def by_quality(table: pd.DataFrame, papers: Published, column: str) -> Rows:
    """Table 4 or 11: errors of sets by quality score, then the paper's, mm.

    "overall" is the mean over all skulls, also in the paper.
    """
    rows = {name: _by_score(table, name, column) for name in papers}
    return rows | {f"paper: {name}": dict(values) for name, values in papers.items()}


def columns_by_quality(table: pd.DataFrame, name: str, columns: Sequence[str]) -> Rows:
    """Errors of one set, mm: a row for each column of `table`, overall and by score."""
    return {column: _by_score(table, name, column) for column in columns}


def ways(table: pd.DataFrame, name: str) -> Rows:
    """Errors of one set in the defect by the way of filling it, mm."""
    columns = {**CHAMFER, "surface": "surface"}
    return {
        str(way): {
            title: _mean(rows, name, column) for title, column in columns.items()
        }
        for way, rows in table.groupby("way", sort=False)
    }


def against(table: pd.DataFrame, name: str, way: str, other: str) -> Rows:
    """How much smaller the CD of one way of filling is than another's, paired, mm."""
    own = table[table["set"] == name]
    both = pd.concat(own[own["way"] == w].assign(set=w) for w in (way, other))
    found = statistics.contrast(both, statistics.better(way, other), "cd")
    return {f"{way} against {other}": {"closer by, mm": found}}


def means(table: pd.DataFrame, column: str) -> dict[str, Interval]:
    """For a stage's record: each set's mean over the test skulls, with interval."""
    names = table["set"].unique()
    return {name: statistics.mean(errors_of(table, name, column)) for name in names}


def over_seeds(table: pd.DataFrame, column: str) -> Rows:
    """Each set's mean over the test skulls, a column for each training, mm."""
    rows: Rows = {name: {} for name in table["set"].unique()}
    for keys, errors in table.groupby(["set", "seed"]):
        name, seed = cast(tuple[str, int], keys)  # pandas: Hashable
        rows[name][f"seed {seed}"] = float(errors[column].mean())
    return rows


def claims(table: pd.DataFrame, column: str, *papers: Published) -> Rows:
    """The paper's claims: the difference here and in its tables, mm, the conclusion."""
    published, rows = paper_errors(*papers), {}
    for claim in statistics.CLAIMS:
        score = f"QS {claim.quality}" if claim.quality else "overall"
        gap = sum(w * published[name][score] for name, w in claim.contrast.items())
        found, seeds = statistics.claim_contrast(table, claim, column)
        rows[claim.text] = {
            "better by, mm": found,
            "in the paper": gap,
            "seeds": seeds or None,
            "conclusion": statistics.conclusion(found, seeds),
        }
    return rows


def paper_errors(*papers: Published) -> dict[str, dict]:
    """The errors of each set in the paper's tables: "overall", and by score if stated.

    Of triples the first, the Chamfer distance, counts.
    """
    found: dict[str, dict[str, float]] = {}
    for table in papers:
        for row, values in table.items():
            if "overall" in values:
                found.setdefault(row, {}).update(values)
                continue
            for column, value in values.items():
                overall = float(np.atleast_1d(value)[0])
                found.setdefault(set_name(row, column), {})["overall"] = overall
    return found


def _by_score(table: pd.DataFrame, name: str, column: str) -> dict[str, Any]:
    """Means of a set's errors, overall and by quality score."""
    scores = {f"QS {q}": table[table["quality"] == q] for q in QUALITY_SCORES}
    rows = {"overall": table, **scores}
    return {title: _mean(part, name, column) for title, part in rows.items()}


def _mean(table: pd.DataFrame, name: str, column: str) -> Interval | None:
    """Mean of a set's errors; None where there are none."""
    errors = errors_of(table, name, column)
    return statistics.mean(errors) if errors.size else None
