"""One case in a process of its own: its time, its memory, its arithmetic.

A fresh process makes the peak of memory the case's own, and one that dies takes
nothing with it.
"""

import multiprocessing
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from skfm_lib.benchmarks.flops import FlopCount
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.memory import memory

SECONDS, MOST = 10.0, 100  # of repetitions in one process
KILL_ME_FIRST = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True)
class Case:
    """Something to measure.

    name   its row in tables
    setup  makes everything ready and returns one repetition, as a callable; it is
           called in the fresh process, so it is a function of a module or a
           `functools.partial` of one
    check  looks at the last repetition's result when the clock has stopped
    """

    name: str
    setup: Callable[[], Callable[[], object]]
    check: Callable[[object], dict[str, float]] | None = None


@dataclass(frozen=True)
class Run:
    """What one process reports of its case.

    started         when its first timed repetition began, in Unix seconds
    seconds         of every repetition after one warm-up
    before, peak    bytes in memory when all was ready, and at most from the start of
                    the process; on CUDA, of the device's memory
    flops           of one repetition (`FlopCount`)
    checked         what the case's `check` found
    failure         why there is no more than this; empty if all went well
    """

    started: float = 0.0
    seconds: list[float] = field(default_factory=list)
    before: int = 0
    peak: int = 0
    flops: int = 0
    checked: dict[str, float] = field(default_factory=dict)
    failure: str = ""

    @property
    def time(self) -> float:
        """Median of the repetitions, in seconds."""
        return statistics.median(self.seconds)


def run_apart(case: Case, seconds: float = SECONDS) -> Run:
    """Run a case in a fresh process.

    It is repeated after one warm-up until `seconds` have passed, once at least and
    100 times at most.  A case that runs out of memory says so in its `failure`;
    raises SkfmError, with the reason, for one that fails otherwise.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_report, args=(case, seconds, there))
    process.start()
    there.close()  # so that the process's end is seen here
    try:
        said = here.recv()
    except EOFError:
        process.join()
        said = f"ended with exit code {process.exitcode}"
        if process.exitcode == -signal.SIGKILL:
            said = Run(failure="killed, as when memory is out")
    finally:
        process.kill()
        process.join()
    if isinstance(said, Run):
        return said
    raise SkfmError(f"case {case.name!r}: {said}", "a case that runs to its end")


def _report(case: Case, seconds: float, pipe: Connection) -> None:
    if KILL_ME_FIRST.exists():  # rather than the process that started this one
        KILL_ME_FIRST.write_text("1000")
    try:
        pipe.send(_run(case, seconds))
    except Exception as error:
        short = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if short or "DefaultCPUAllocator" in str(error):
            pipe.send(Run(failure="out of memory"))
        else:
            pipe.send(f"{type(error).__name__}: {error}")


def _run(case: Case, seconds: float) -> Run:
    repeat, times = case.setup(), []
    before, _ = memory()
    with FlopCount() as count:
        repeat()  # the warm-up
    started = time.time()
    while not times or (sum(times) < seconds and len(times) < MOST):
        result = None  # the former one must not count as memory of the next
        start = time.perf_counter()
        result = repeat()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    _, peak = memory()
    checked = case.check(result) if case.check else {}
    return Run(started, times, before, peak, count.total, checked)
