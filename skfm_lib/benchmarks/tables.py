"""Measured rounds as tables: medians, their spread, and ratios within a round."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from skfm_lib.benchmarks.cases import CONVOLUTION, OURS
from skfm_lib.benchmarks.isolated_process import Run
from skfm_lib.benchmarks.rounds import Round
from skfm_lib.metrics import Interval
from skfm_lib.utils.device import pick_device

GIB = 2**30
TERA = 10**12
Rows = dict[str, dict[str, object]]


def spread(values: Sequence[float]) -> Interval:
    """Median of several rounds, with the smallest and the largest as ends."""
    return Interval(statistics.median(values), min(values), max(values))


def ratio(
    of: Callable[[Run], float], runs: Sequence[Run], others: Sequence[Run]
) -> Interval:
    """The spread over the rounds of ``of(run) / of(other)``, both of one round."""
    return spread([of(run) / of(other) for run, other in zip(runs, others)])


def comparison(rounds: Sequence[Round]) -> Rows:
    """One row for every case: seconds and GiB, and both as multiples of ours.

    "beyond inputs" is what the work took on top of what was there when it began:
    the program, the network, its data.  A case that failed says why instead.
    """
    runs = _by_case(rounds)
    mine, rows = runs[OURS], {}
    for name, these in runs.items():
        rows[name] = _costs(these)
        if name != OURS and not _failure([*these, *mine]):
            rows[name]["× our time"] = ratio(lambda run: run.time, these, mine)
            rows[name]["× our memory"] = ratio(lambda run: run.peak, these, mine)
        if found := these[0].checked:
            rows[name]["wrong codes"] = f"{found['wrong']} of {found['checked']:,}"
    return rows


def floors(rounds: Sequence[Round]) -> Rows:
    """One row for every case but the convolution: its cost and its floor.

    The floor is the time that its convolutions and matrix products would take at
    the rate of one large convolution, measured in the same round.
    """
    runs = _by_case(rounds)
    conv, rows = runs.pop(CONVOLUTION), {}
    for name, these in runs.items():
        rows[name] = _costs(these)
        if not _failure([*these, *conv]):
            rows[name] |= {
                "floor, s": spread([_floor(a, b) for a, b in zip(these, conv)]),
                "× floor": spread([a.time / _floor(a, b) for a, b in zip(these, conv)]),
            }
    return rows


def rate(rounds: Sequence[Round]) -> Interval:
    """TFLOP a second of the one large convolution."""
    return spread([_rate(run) / TERA for run in _by_case(rounds)[CONVOLUTION]])


def machine() -> dict[str, object]:
    """What the numbers were measured on."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "processor": _processor(),
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


def _costs(runs: Sequence[Run]) -> dict[str, object]:
    if why := _failure(runs):
        return {"seconds": why}
    flops = runs[0].flops
    return {
        "seconds": spread([run.time for run in runs]),
        "peak, GiB": spread([run.peak / GIB for run in runs]),
        "beyond inputs, GiB": spread([(r.peak - r.before) / GIB for r in runs]),
        **({"TFLOP": flops / TERA} if flops else {}),
    }


def _rate(convolution: Run) -> float:
    return convolution.flops / convolution.time


def _floor(run: Run, convolution: Run) -> float:
    return run.flops / _rate(convolution)


def _processor() -> str:
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    names = [line.partition(": ")[2] for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()
