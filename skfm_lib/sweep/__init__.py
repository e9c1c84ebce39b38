"""Quality against the number of evaluations of the network."""

from skfm_lib.sweep.cells import Cell, cost, plan
from skfm_lib.sweep.drawing import Drawn, Sweep
from skfm_lib.sweep.judging import Point, fewest, judge, lines
from skfm_lib.sweep.showing import costs, panels, results, summary, table

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
