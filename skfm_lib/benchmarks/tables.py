"""Measurements as tables: medians, their spread, and ratios within a round."""

import os
import statistics
from collections.abc import Callable, Sequence

import torch

from skfm_lib.benchmarks.cases import CONVOLUTION, OURS
from skfm_lib.benchmarks.measurement import Round, Run
from skfm_lib.metrics import Interval
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.processor import processor_name

GIB = 2**30
TERA = 10**12
Rows = dict[str, dict[str, object]]


def spread(values: Sequence[float]) -> Interval:
    """Median of several rounds, with the smallest and the largest as ends."""
    return Interval(statistics.median(values), min(values), max(values))


def comparison(rounds: Sequence[Round]) -> Rows:
    """One row per case: seconds and GiB, and both as multiples of ours.

    "beyond inputs" is the memory on top of program, network and data.  The row of a
    case that failed holds the reason instead.
    """
    runs = _by_case(rounds)
    ours, rows = runs[OURS], {}
    for name, these in runs.items():
        rows[name] = _costs(these)
        if name != OURS and not _failure([*these, *ours]):
            rows[name]["× our time"] = _ratio(lambda run: run.time, these, ours)
            rows[name]["× our memory"] = _ratio(lambda run: run.peak, these, ours)
        if found := these[0].checked:
            rows[name]["wrong codes"] = f"{found['wrong']} of {found['checked']:,}"
    return rows


def floors(rounds: Sequence[Round]) -> Rows:
    """One row per case except the convolution: its cost and its floor.

    The floor is the time that its convolutions and matrix products would take at
    the rate of one large convolution, measured in the same round.
    """
    runs = _by_case(rounds)
    convolution, rows = runs.pop(CONVOLUTION), {}
    for name, these in runs.items():
        rows[name] = _costs(these)
        if not _failure([*these, *convolution]):
            least = [run.flops / _rate(c) for run, c in zip(these, convolution)]
            rows[name]["floor, s"] = spread(least)
            rows[name]["× floor"] = spread([r.time / s for r, s in zip(these, least)])
    return rows


def rate(rounds: Sequence[Round]) -> Interval:
    """TFLOP per second of the one large convolution."""
    return spread([_rate(run) / TERA for run in _by_case(rounds)[CONVOLUTION]])


def machine() -> dict[str, object]:
    """The machine on which the numbers were measured."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": processor_name(),
        "cores": os.cpu_count(),
        "memory, GiB": round(memory / GIB),
        "networks run on": str(pick_device()),
        "torch": torch.__version__,
    }


def _by_case(rounds: Sequence[Round]) -> dict[str, list[Run]]:
    return {name: [one[name] for one in rounds] for name in rounds[0]}


def _failure(runs: Sequence[Run]) -> str:
    """Why there is no result; empty if there is one in every round."""
    return next((run.failure for run in runs if run.failure), "")


def _ratio(
    of: Callable[[Run], float], runs: Sequence[Run], others: Sequence[Run]
) -> Interval:
    """The spread over the rounds of ``of(run) / of(other)``, both of one round."""
    return spread([of(run) / of(other) for run, other in zip(runs, others)])


def _costs(runs: Sequence[Run]) -> dict[str, object]:
    if reason := _failure(runs):
        return {"seconds": reason}
    flops = runs[0].flops
    return {
        "seconds": spread([run.time for run in runs]),
        "peak, GiB": spread([run.peak / GIB for run in runs]),
        "beyond inputs, GiB": spread([(r.peak - r.before) / GIB for r in runs]),
        **({"TFLOP": flops / TERA} if flops else {}),
    }


def _rate(convolution: Run) -> float:
    return convolution.flops / convolution.time
