"""Whether the comparisons of a chapter could tell a difference: negative controls."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from skfm_lib.tasks.experiments import statistics
from skfm_lib.tasks.experiments.claims import FULL, better
from skfm_lib.tasks.experiments.conclusions import ALPHA
from skfm_lib.tasks.experiments.grid import Grid
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


def note(rows: Rows, grid: Grid) -> str:
    """What the tables of a chapter begin with; nothing where the assay is sensitive.

    >>> note({}, Grid({"100% real": [0]}))
    'Short form, one training of each set: it decides no claim. '
    """
    if all(len(seeds) < 2 for seeds in grid.trainings.values()):
        return "Short form, one training of each set: it decides no claim. "
    text = "" if sensitive(rows) else f"{statement(rows)} "
    if grid.left:
        text = f"A part of the plan, {grid.left} trainings are left. {text}"
    return text


def sensitive(rows: Rows) -> bool:
    """Whether every control was trained, and separates with the tables' steps."""
    return not (_missing(rows) or _in_vain(rows))


def statement(rows: Rows) -> str:
    """Whether the assay is sensitive, with figures, in a sentence."""
    if lacking := _in_vain(rows):
        return f"This assay is not sensitive: {_figures(rows, lacking)}."
    if missing := _missing(rows):
        text = "Whether this assay is sensitive is not known: "
        return f"{text}{', '.join(missing)} not trained."
    return f"This assay is sensitive: {_figures(rows, CONTROLS)}."


def _in_vain(rows: Rows) -> list[str]:
    """The controls that do not separate with the steps of the tables."""
    first = min((row["steps"] for row in rows.values()), default=0)
    return unseparated({k: row for k, row in rows.items() if row["steps"] == first})


def _missing(rows: Rows) -> list[str]:
    """The controls that were not trained, or once only."""
    found = {row["set"] for row in rows.values()}
    return [name for name in CONTROLS if name not in found]


def _figures(rows: Rows, names: Sequence[str]) -> str:
    """How much worse some controls are, in words."""
    found = [
        f"{row['set']} is worse than {FULL} by {row['worse by, mm']} mm "
        f"({row['steps']} steps)"
        for row in rows.values()
        if row["set"] in names
    ]
    return "; ".join(found)
