"""Prepare several scans at a time, each in a sandbox; unchanged scans are skipped."""

from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from queue import SimpleQueue
from typing import NamedTuple

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.prepare.extraction import Job, Record, extract_skull, finished
from skfm_lib.prepare.report import thumbnail_path, write_thumbnail
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import clear_leftovers
from skfm_lib.utils.progress import Progress


class Outcome(NamedTuple):
    """The record of a scan, or {} and why the scan cannot be used.

    `new` states whether work was done in this run.
    """

    job: Job
    record: Record
    problem: str = ""
    new: bool = True


def run_jobs(jobs: list[Job], workers: int, strict: bool) -> dict[str, Outcome]:
    """Name → outcome of every job, in their order; with `strict`, up to a problem.

    `workers` sandboxed processes of at most 3.5 GiB run at a time.  If interrupted,
    they are ended; complete files stay, and the next run removes temporary ones.
    """
    for file in {path for j in jobs for path in (j.volume, thumbnail_path(j.volume))}:
        clear_leftovers(file.parent)
    outcomes = {job.name: Outcome(job, finished(job), new=False) for job in jobs}
    waiting = [
        outcomes.pop(job.name)
        for job in jobs
        if not (outcomes[job.name].record and thumbnail_path(job.volume).exists())
    ]
    workers = max(1, min(workers, len(waiting)))
    sandboxes: SimpleQueue[Sandbox] = SimpleQueue()
    with ExitStack() as stack:
        bar = stack.enter_context(Progress("Preparing scans", len(jobs)))
        bar.advance(len(outcomes))
        for _ in range(workers):
            sandboxes.put(stack.enter_context(Sandbox()))
        pool = ThreadPoolExecutor(workers)
        # On leaving, the pool is stopped before the sandboxes are closed.
        stack.callback(pool.shutdown, wait=False, cancel_futures=True)
        calls = [pool.submit(_run, w.job, w.record, sandboxes) for w in waiting]
        for call in as_completed(calls):
            outcome = call.result()
            outcomes[outcome.job.name] = outcome
            bar.advance()
            if strict and outcome.problem:
                break
    return {job.name: outcomes[job.name] for job in jobs if job.name in outcomes}


def _run(job: Job, record: Record, sandboxes: SimpleQueue[Sandbox]) -> Outcome:
    """Prepare a scan, unless it has a record already, and draw its thumbnail."""
    sandbox = sandboxes.get()
    try:
        record = record or sandbox(extract_skull, job)
        with suppress(SkfmError):  # a skull without a thumbnail is still usable
            sandbox(write_thumbnail, job.volume)
        return Outcome(job, record)
    except SkfmError as problem:
        return Outcome(job, {}, str(problem))
    finally:
        sandboxes.put(sandbox)
