"""Quality against the number of evaluations of the network."""

from skfm_lib.evaluation.sampling_steps.grid import Cell, cost, plan
from skfm_lib.evaluation.sampling_steps.randomisation_test import (
    Point,
    fewest,
    judge,
    lines,
)
from skfm_lib.evaluation.sampling_steps.sampling import Drawn, Sweep
from skfm_lib.evaluation.sampling_steps.tables import (
    costs,
    panels,
    results,
    summary,
    table,
)

__all__ = [
    "Cell",
    "Drawn",
    "Point",
    "Sweep",
    "cost",
    "costs",
    "fewest",
    "judge",
    "lines",
    "panels",
    "plan",
    "results",
    "summary",
    "table",
]
