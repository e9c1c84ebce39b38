"""Many scans at a time, each in a guarded process: new and changed ones only."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.prepare.extraction import Record, extract_skull, finished
from skfm_lib.prepare.source import Source
from skfm_lib.prepare.thumbnails import draw_skull, picture_path
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import clear_leftovers
from skfm_lib.utils.progress import Progress


@dataclass(frozen=True)
class Job:
    """A scan to make a skull of: the arguments of `extract_skull`."""

    source: Source
    target: Path
    shape: Shape
    threshold: float
    stamp: str


@dataclass(frozen=True)
class Outcome:
    """What became of a scan: its record, or why there is none.

    new  whether work was done in this run
    """

    job: Job
    record: Record | None
    problem: str = ""
    new: bool = True


def outcomes(jobs: list[Job], workers: int) -> Iterator[Outcome]:
    """Every job's outcome: those made before first, then the others as they end.

    `workers` guarded processes at a time, 3.5 GiB each at most, with a progress line.
    Left early, or interrupted, the processes are ended; what is whole stays, and
    what is not is removed by the next run.
    """
    waiting = []
    for folder in {place for j in jobs for place in _folders(j)}:
        clear_leftovers(folder)
    with ExitStack() as stack:
        bar = stack.enter_context(Progress("Preparing scans", len(jobs)))
        for job in jobs:
            record = finished(job.target, job.stamp)
            if record and picture_path(job.target).exists():
                bar.advance()
                yield Outcome(job, record, new=False)
            else:
                waiting.append((job, record))
        workers, guards = max(1, min(workers, len(waiting))), SimpleQueue()
        for _ in range(workers):
            guards.put(stack.enter_context(Sandbox()))
        pool = ThreadPoolExecutor(workers)
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        calls = [pool.submit(_worked, *made, guards) for made in waiting]
        for call in as_completed(calls):
            bar.advance()
            yield call.result()


def _folders(job: Job) -> tuple[Path, Path]:
    """Where files of a job are written."""
    return job.target.parent, picture_path(job.target).parent


def _worked(job: Job, record: Record | None, guards: SimpleQueue) -> Outcome:
    sandbox = guards.get()
    try:
        arguments = (job.source, job.target, job.shape, job.threshold, job.stamp)
        record = record or sandbox(extract_skull, *arguments)
        with suppress(SkfmError):  # without a picture, a skull is a skull all the same
            sandbox(draw_skull, job.target)
        return Outcome(job, record)
    except SkfmError as problem:
        return Outcome(job, None, str(problem))
    finally:
        guards.put(sandbox)
