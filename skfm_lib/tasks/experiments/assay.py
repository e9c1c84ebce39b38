"""Whether the comparisons of a chapter could tell a difference: negative controls."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.claims import FULL, better
from skfm_lib.tasks.experiments.conclusions import ALPHA
from skfm_lib.tasks.experiments.plan import DOUBLED, SCARCE
from skfm_lib.tasks.experiments.runs import Experiments
from skfm_lib.tasks.experiments.skull_pool import SkullPool

CONTROLS = (SCARCE, "blurred", "failed DDPM")
Rows = dict[str, dict[str, Any]]


def controls(errors: pd.DataFrame, column: str, steps: int) -> Rows:
    """How much worse each negative control is than "100% real", mm, and if it is."""
    rows: Rows = {}
    for name in CONTROLS:
        both = statistics.shared(errors, (FULL, name))
        if both["seed"].nunique() < 2:
            continue
        found = statistics.contrast(both, better(FULL, name), column)
        worse = found.value > 0 and found.p_value() < ALPHA
        rows[f"{name}, {steps} steps"] = {
            "set": name,
            "steps": steps,
            "trainings": both["seed"].nunique(),
            "worse by, mm": found.interval(),
            "separates": "yes" if worse else "no",
        }
    return rows


def unseparated(rows: Rows) -> list[str]:
    """The controls that separate with no number of steps that was tried."""
    apart = {row["set"] for row in rows.values() if row["separates"] == "yes"}
    names = dict.fromkeys(row["set"] for row in rows.values())
    return [name for name in names if name not in apart]


def with_doubled_steps(
    runs: Experiments, pool: SkullPool, rows: Rows, column: str
) -> Rows:
    """The controls, with those that do not separate trained for twice the steps."""
    names = unseparated(rows)
    if not names:
        return rows
    steps = 2 * runs.settings.steps
    longer = replace(runs, settings=runs.settings.but(steps=steps))
    trainings = {name: range(DOUBLED) for name in (FULL, *names)}
    errors = longer.run(pool, trainings)
    if "way" in errors:
        errors = errors[errors["way"] == runs.task.name]
    return rows | controls(errors, column, steps)


def statement(rows: Rows) -> str:
    """Whether the assay is sensitive, with figures: the first sentence of its tables.

    >>> statement({})
    'No negative control was trained: whether this assay is sensitive is not known.'
    """
    if not rows:
        return (
            "No negative control was trained: whether this assay is sensitive is "
            "not known."
        )
    missing = [name for name in CONTROLS if name not in _names(rows)]
    lacking = unseparated(rows)
    late = _only_later(rows)
    if lacking:
        return f"This assay is not sensitive: {_figures(rows, lacking)}."
    if late:
        steps = min(row["steps"] for row in rows.values())
        text = f"This assay is not sensitive at {steps} steps: {_figures(rows, late)}."
        return text
    if missing:
        return f"This assay is tested in part: {', '.join(missing)} not trained."
    return f"This assay is sensitive: {_figures(rows, _names(rows))}."


def _figures(rows: Rows, names: Sequence[str]) -> str:
    """How much worse some controls are, in words."""
    found = [
        f"{row['set']} is worse than {FULL} by {row['worse by, mm']} mm "
        f"({row['steps']} steps)"
        for row in rows.values()
        if row["set"] in names
    ]
    return "; ".join(found)


def _names(rows: Mapping[str, Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["set"] for row in rows.values()))


def _only_later(rows: Rows) -> list[str]:
    """The controls that separate with doubled steps only."""
    first: dict[str, str] = {}
    for row in rows.values():
        first.setdefault(row["set"], row["separates"])
    lacking = unseparated(rows)
    return [n for n, yes in first.items() if yes == "no" and n not in lacking]
