"""Start the processes that train together on one machine, and look after them.

They meet as torchrun's do, but torchrun itself would not do: it turns every exit
status into 1, and by default it ends itself on SIGUSR1 and gives processes that are
saving no more than 30 seconds.
"""

import sys
import tempfile
from pathlib import Path

import torch
from torch.distributed import TCPStore

from skfm_lib.utils.distributed import LOST
from skfm_lib.utils.errors import SAVED, Interrupted, SkfmError
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.signals import noting_warnings
from skfm_lib.utils.subprocesses import (
    GO_ON,
    Workers,
    ending,
    printed,
    said,
    start,
    states,
    watch,
)

HERE = "127.0.0.1"
PROGRESS = "progress"


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
        with ending(workers), noting_warnings() as warnings:
            for rank in range(devices):
                mine = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                workers.append(start(words, _log(folder, rank), mine))
            watch(workers, warnings, _Mirror(label, folder / PROGRESS), False)
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
        "WORLD_SIZE": str(devices),
        "MASTER_ADDR": HERE,
        "MASTER_PORT": str(port),
        "TORCHELASTIC_USE_AGENT_STORE": str(True),  # the first one need not keep one
        "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // devices)),
        "SKFM_PROGRESS": str(folder / PROGRESS),
    }


def _judge(workers: Workers, warned: bool, folder: Path) -> None:
    """Raise what the processes ended with, if that was not well."""
    found = states(workers)
    if not any(found):
        return
    if SAVED in found:
        raise Interrupted(said(_log(folder, found.index(SAVED))))
    if warned:
        raise Interrupted("told to stop before the first step", remedy=GO_ON)
    failed = [rank for rank, state in enumerate(found) if state]
    # One that lost another is not the one that went wrong.
    rank = min(failed, key=lambda rank: LOST in said(_log(folder, rank)))
    if why := said(_log(folder, rank)):
        raise SkfmError(why)
    print(*printed(_log(folder, rank)), sep="\n", file=sys.stderr)
    raise SkfmError(
        f"process {rank} of {len(found)} ended with status {found[rank]}",
        remedy=f"see what it wrote above, if anything; {GO_ON}",
    )


def _log(folder: Path, rank: int) -> Path:
    return folder / f"{rank}.log"
