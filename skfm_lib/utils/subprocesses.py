"""Processes of ``skfm`` that another starts, looks after and never leaves behind."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from skfm_lib.utils.paths import project_root
from skfm_lib.utils.progress import Progress

COMMAND = [sys.executable, "-m", "skfm_lib"]
PATIENCE = (15.0, 60.0)  # seconds to end by itself, and to end when told
SAYS = "skfm: "  # before the line in which a command says what went wrong
GO_ON = "the same command resumes"

Workers = list[subprocess.Popen]


def start(
    words: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
    module: str | None = None,
) -> subprocess.Popen:
    """``skfm WORDS`` in the project's folder; all that it prints goes to `log`.

    With a `module`, ``python -m MODULE WORDS`` in its place.
    """
    command = [*COMMAND[:-1], module] if module else COMMAND
    with open(log, "wb") as file:
        return subprocess.Popen(
            [*command, *words],
            env={**os.environ, **environment},
            cwd=project_root(),
            stdout=file,
            stderr=file,
        )


def watch(
    workers: Workers, warnings: Sequence[str], bar: Progress, to_the_end: bool
) -> None:
    """Wait for all to end, or else until one fails; warnings are passed on to them."""
    passed = 0
    with bar:
        while None in (now := states(workers)) and (to_the_end or not any(now)):
            if len(warnings) > passed:
                passed = len(warnings)
                tell(workers, signal.SIGTERM)
            time.sleep(0.1)
            bar.advance(0)


@contextlib.contextmanager
def ending(workers: Workers) -> Iterator[None]:
    """Leave none behind: those that do not end are told to, and then are killed."""
    try:
        yield
    except BaseException:
        tell(workers, signal.SIGTERM)
        raise
    finally:
        for seconds, number in zip(PATIENCE, (signal.SIGTERM, signal.SIGKILL)):
            end = time.monotonic() + seconds
            while None in states(workers) and time.monotonic() < end:
                time.sleep(0.1)
            tell(workers, number)
        for worker in workers:
            worker.wait()


def states(workers: Workers) -> list[int | None]:
    """Their exit statuses; None for those that work."""
    return [worker.poll() for worker in workers]


def tell(workers: Workers, number: int) -> None:
    """Send all that work a signal."""
    for worker in workers:
        worker.send_signal(number)


def printed(log: Path) -> list[str]:
    """The lines that a process printed."""
    return log.read_text(errors="replace").strip().splitlines()


def said(log: Path) -> str:
    """What went wrong, in the one line that a process ended with, if it said so."""
    last = printed(log)[-1:]
    return last[0].removeprefix(SAYS) if last and last[0].startswith(SAYS) else ""
