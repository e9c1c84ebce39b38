"""Start the processes that train together on one machine, and look after them.

They meet as torchrun's do, but torchrun itself would not do: it turns every exit
status into 1, and by default it ends itself on SIGUSR1 and gives processes that are
saving no more than 30 seconds.
"""

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch.distributed import TCPStore

from skfm_lib.distributed import LOST
from skfm_lib.errors import SAVED, Interrupted, SkfmError
from skfm_lib.interruption import noting_warnings
from skfm_lib.progress import Progress
from skfm_lib.study import project_root

COMMAND = [sys.executable, "-m", "skfm_lib"]
HERE = "127.0.0.1"
PATIENCE = (15.0, 60.0)  # seconds to end by itself, and to end when told
PROGRESS = "progress"
GO_ON = "the same command goes on"

Workers = list[subprocess.Popen]


def launch(words: list[str], devices: int, label: str) -> None:
    """Run ``skfm WORDS`` in `devices` processes that train together, to the end.

    Shows the progress of the first and passes warnings on.  Raises Interrupted when
    they were told to stop, and SkfmError with what the one that failed said; the
    others are ended.
    """
    # They meet in a store of this process, whose port is free for certain.
    store = TCPStore(HERE, 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        common = _environment(devices, store.port, folder)
        workers: Workers = []
        with _ending(workers), noting_warnings() as warnings:
            for rank in range(devices):
                workers.append(_start(words, rank, common, folder))
            _watch(workers, warnings, _Mirror(label, folder / PROGRESS))
        _judge(workers, bool(warnings), folder)


class _Mirror(Progress):
    """The progress line of another process, which keeps it in a file."""

    def __init__(self, label: str, path: Path) -> None:
        super().__init__(label)
        self.text, self.path = f"{label}: starting", path

    def line(self, final: bool = False) -> str:
        if self.path.is_file():
            self.text = self.path.read_text(encoding="utf-8") or self.text
        return self.text


def _environment(devices: int, port: int, folder: Path) -> dict[str, str]:
    """What torchrun would tell its processes; they share the cores."""
    return {
        **os.environ,
        "WORLD_SIZE": str(devices),
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": str(True),  # the first one need not keep one
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // devices)),
        "SKFM_PROGRESS": str(folder / PROGRESS),
    }


def _start(
    words: list[str], rank: int, common: dict[str, str], folder: Path
) -> subprocess.Popen:
    with open(_log(folder, rank), "wb") as log:
        return subprocess.Popen(
            [*COMMAND, *words],
            env={**common, "RANK": str(rank), "LOCAL_RANK": str(rank)},
            cwd=project_root(),
            stdout=log,
            stderr=log,
        )


def _watch(workers: Workers, warnings: list[str], bar: Progress) -> None:
    """Until all have ended well or one has not; warnings are passed on."""
    passed = 0
    with bar:
        while None in (states := _states(workers)) and not any(states):
            if len(warnings) > passed:
                passed = len(warnings)
                _each(workers, signal.SIGTERM)
            time.sleep(0.1)
            bar.advance(0)


@contextlib.contextmanager
def _ending(workers: Workers) -> Iterator[None]:
    """Leave none behind: those that do not end are told to, and then are killed."""
    try:
        yield
    except BaseException:
        _each(workers, signal.SIGTERM)
        raise
    finally:
        for seconds, number in zip(PATIENCE, (signal.SIGTERM, signal.SIGKILL)):
            end = time.monotonic() + seconds
            while None in _states(workers) and time.monotonic() < end:
                time.sleep(0.1)
            _each(workers, number)
        for worker in workers:
            worker.wait()


def _judge(workers: Workers, warned: bool, folder: Path) -> None:
    """Raise what the processes ended with, if that was not well."""
    states = _states(workers)
    if not any(states):
        return
    if SAVED in states:
        raise Interrupted(_said(folder, states.index(SAVED)))
    if warned:
        raise Interrupted("told to stop before the first step", remedy=GO_ON)
    failed = [rank for rank, state in enumerate(states) if state]
    # One that lost another is not the one that went wrong.
    rank = min(failed, key=lambda rank: LOST in _said(folder, rank))
    if said := _said(folder, rank):
        raise SkfmError(said)
    print(_log(folder, rank).read_text(errors="replace"), file=sys.stderr)
    raise SkfmError(
        f"process {rank} of {len(states)} ended with status {states[rank]}",
        remedy=f"see what it wrote above, if anything; {GO_ON}",
    )


def _states(workers: Workers) -> list[int | None]:
    return [worker.poll() for worker in workers]


def _each(workers: Workers, number: int) -> None:
    for worker in workers:
        worker.send_signal(number)


def _log(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.log"


def _said(folder: Path, rank: int) -> str:
    """The one line that a process ended with, without the name of the command."""
    text = _log(folder, rank).read_text(errors="replace").strip()
    last = text.splitlines()[-1] if text else ""
    return last.removeprefix("skfm: ") if last.startswith("skfm: ") else ""
