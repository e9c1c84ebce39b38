"""The paper's Tables 2–6 and 11 for this study, beside the paper's own numbers."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from skfm_lib.metrics import Interval
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.claims import better, set_name
from skfm_lib.tasks.experiments.plan import Published
from skfm_lib.tasks.experiments.statistics import errors_of

Rows = dict[str, dict[str, Any]]
CHAMFER = {"CD": "cd", "Acc": "accuracy", "Comp": "completeness"}  # Tables 5, 6


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
    found = statistics.contrast(both, better(way, other), "cd")
    return {f"{way} against {other}": {"closer by, mm": found.interval()}}


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


def _by_score(table: pd.DataFrame, name: str, column: str) -> dict[str, Any]:
    """Means of a set's errors, overall and by quality score."""
    scores = {f"QS {q}": table[table["quality"] == q] for q in QUALITY_SCORES}
    rows = {"overall": table, **scores}
    return {title: _mean(part, name, column) for title, part in rows.items()}


def _mean(table: pd.DataFrame, name: str, column: str) -> Interval | None:
    """Mean of a set's errors; None where there are none."""
    errors = errors_of(table, name, column)
    return statistics.mean(errors) if errors.size else None
