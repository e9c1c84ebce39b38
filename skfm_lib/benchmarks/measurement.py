"""Time, memory and FLOPs of cases, each measured in processes of its own, in turn.

In a fresh process the peak of memory belongs to the case, and a crash does no harm.
As the speed of a machine drifts, cases that are compared run A, B, A, B, …, and are
compared within a round.
"""

import multiprocessing
import signal
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch

from skfm_lib.utils.counters import FlopCount
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.memory import memory
from skfm_lib.utils.progress import Progress

SECONDS, MOST = 10.0, 100  # of repetitions in one process
OOM_SCORE = Path("/proc/self/oom_score_adj")


@dataclass(frozen=True)
class Case:
    """A computation to measure.

    Attributes:
        name: its row in tables.
        setup: prepares everything and returns one repetition; called in the fresh
            process, so it is a function of a module or a `functools.partial` of one.
        check: of the last repetition's result, after the timing.
    """

    name: str
    setup: Callable[[], Callable[[], Any]]
    check: Callable[[Any], dict[str, float]] | None = None


@dataclass(frozen=True)
class Run:
    """The measurements of one process.

    Attributes:
        started: Unix time of the first timed repetition.
        seconds: of every repetition after one warm-up.
        before, peak: bytes of memory after the setup and at most; on CUDA, of the GPU.
        flops: of one repetition (`FlopCount`).
        checked: the result of the case's `check`.
        failure: why there is no result; empty if there is one.
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


Round = dict[str, Run]  # by the name of the case


def measure(
    cases: Sequence[Case], rounds: int, record: Path, seconds: float = SECONDS
) -> list[Round]:
    """Measure every case once per round (`run_isolated`, for `seconds`), by name.

    Complete rounds are saved in the JSON file `record` and not measured again.
    """
    saved = read_json(record)["rounds"] if record.is_file() else []
    done = [{name: Run(**run) for name, run in one.items()} for one in saved]
    with Progress(record.stem, rounds * len(cases), len(done) * len(cases)) as bar:
        while len(done) < rounds:
            done.append({})
            for case in cases:
                done[-1][case.name] = run = run_isolated(case, seconds)
                bar.advance(note=f"{case.name}: {run.failure or f'{run.time:.3g} s'}")
            plain = [{n: asdict(run) for n, run in one.items()} for one in done]
            write_json(record, {"rounds": plain})
    return done


def run_isolated(case: Case, seconds: float = SECONDS) -> Run:
    """Run a case in a fresh process: a warm-up, then 1 to 100 times in `seconds`.

    If it runs out of memory, the `failure` of the run states it; SkfmError, with the
    reason, if it fails otherwise.
    """
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_send_run, args=(case, seconds, there))
    process.start()
    there.close()  # so that the end of the process closes the pipe
    try:
        received = here.recv()
    except EOFError:
        process.join()
        received = f"ended with exit code {process.exitcode}"
        if process.exitcode == -signal.SIGKILL:
            received = Run(failure="killed, as when memory is out")
    finally:
        process.kill()
        process.join()
    if isinstance(received, Run):
        return received
    raise SkfmError(f"case {case.name!r}: {received}", "a case that runs to its end")


def _send_run(case: Case, seconds: float, pipe: Connection) -> None:
    """Send the `Run` of a case, or the message of its error."""
    if OOM_SCORE.exists():  # out of memory, the system is to end this process first
        OOM_SCORE.write_text("1000")
    try:
        pipe.send(_run(case, seconds))
    except Exception as error:
        short = isinstance(error, (MemoryError, torch.OutOfMemoryError))
        if short or "DefaultCPUAllocator" in str(error):
            pipe.send(Run(failure="out of memory"))
        else:
            pipe.send(f"{type(error).__name__}: {error}")


def _run(case: Case, seconds: float) -> Run:
    repeat = case.setup()
    times: list[float] = []
    before, _ = memory()
    with FlopCount() as count:
        repeat()  # the warm-up
    started = time.time()
    while not times or (sum(times) < seconds and len(times) < MOST):
        result = None  # free the former result before the next repetition
        start = time.perf_counter()
        result = repeat()
        if torch.cuda.is_initialized():
            torch.cuda.synchronize()
        times.append(time.perf_counter() - start)
    _, peak = memory()
    checked = case.check(result) if case.check else {}
    return Run(started, times, before, peak, count.total, checked)
