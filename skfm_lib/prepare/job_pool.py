"""Prepare several scans at a time, each in a sandbox; unchanged scans are skipped."""

from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import ExitStack, suppress
from queue import SimpleQueue

from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.prepare.extraction import Job, Record, extract_skull, finished
from skfm_lib.prepare.report import thumbnail_path, write_thumbnail
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import clear_leftovers
from skfm_lib.utils.progress import Progress


def run_jobs(
    jobs: list[Job], workers: int, strict: bool, sandbox: Sandbox
) -> tuple[dict[str, Record], dict[str, str], set[str]]:
    """Prepare scans with `workers` sandboxed processes of at most 3.5 GiB each.

    One of them is `sandbox`, where the readers are imported already; the caller ends
    it.  If interrupted, or at the first problem with `strict`, what they are doing is
    ended.  Complete files stay, and the next run removes temporary ones.

    Returns:
        Name → record of the skulls, in the order of the jobs; name → problem of the
        other scans; and the names for which work was done in this run.
    """
    for file in {path for j in jobs for path in (j.volume, thumbnail_path(j.volume))}:
        clear_leftovers(file.parent)
    records = {job.name: record for job in jobs if (record := finished(job))}
    waiting = [
        job
        for job in jobs
        if job.name not in records or not thumbnail_path(job.volume).exists()
    ]
    problems: dict[str, str] = {}
    workers = max(1, min(workers, len(waiting)))
    free: SimpleQueue[Sandbox] = SimpleQueue()
    with ExitStack() as stack:
        bar = stack.enter_context(Progress("Preparing scans", len(jobs)))
        bar.advance(len(jobs) - len(waiting))
        own = [stack.enter_context(Sandbox()) for _ in range(workers - 1)]
        for each in (sandbox, *own):
            free.put(each)
        pool = ThreadPoolExecutor(workers)
        calls = {
            pool.submit(_run, job, records.get(job.name), free): job.name
            for job in waiting
        }
        stack.callback(_stop, pool, list(calls), [sandbox, *own])
        for call in as_completed(calls):
            bar.advance()
            try:
                records[calls[call]] = call.result()
            except SkfmError as problem:
                problems[calls[call]] = str(problem)
                if strict:
                    break
    records = {job.name: records[job.name] for job in jobs if job.name in records}
    return records, problems, {job.name for job in waiting if job.name in records}


def _stop(
    pool: ThreadPoolExecutor, calls: list[Future[Record]], sandboxes: list[Sandbox]
) -> None:
    """End what is still running, and only then leave: a thread may start a child."""
    pool.shutdown(wait=False, cancel_futures=True)
    if not all(call.done() for call in calls):
        for sandbox in sandboxes:
            sandbox.end()
    pool.shutdown()


def _run(job: Job, record: Record | None, free: SimpleQueue[Sandbox]) -> Record:
    """Prepare a scan, unless it has a record already, and draw its thumbnail."""
    sandbox = free.get()
    try:
        record = record or sandbox(extract_skull, job)
        with suppress(SkfmError):  # a skull without a thumbnail is still usable
            sandbox(write_thumbnail, job.volume)
        return record
    finally:
        free.put(sandbox)
