"""Commands that do without each other, run at the same time on the cores of a CPU.

The networks of the smaller presets do not keep several cores busy: two trainings,
each with its share of the cores, take 0.7 of the time that they take one after the
other (U-Net, preset quick, two cores).
"""

import shutil
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SAVED, Interrupted, SkfmError
from skfm_lib.utils.progress import Progress, clock
from skfm_lib.utils.signals import noting_warnings
from skfm_lib.utils.subprocesses import (
    GO_ON,
    SAYS,
    Workers,
    ending,
    printed,
    said,
    start,
    watch,
)


def cores_for(count: int) -> bool:
    """Whether `count` commands have a core each, and no GPU that they would share."""
    on_cpu = pick_device().device.type == "cpu"
    return on_cpu and torch.get_num_threads() >= count


def side_by_side(
    commands: Mapping[str, Sequence[str]], module: str | None = None
) -> dict[str, SkfmError]:
    """Run ``skfm WORDS`` for each label, all to their ends; label → what went wrong.

    With a `module`, it is ``python -m MODULE WORDS``, which ends as `skfm` does.

    Shows the progress of all in one line, then what they printed.  Warnings are
    passed on; nothing is left running.
    """
    threads = str(max(1, torch.get_num_threads() // len(commands)))
    with tempfile.TemporaryDirectory() as name:
        lines = {label: Path(name) / f"{i}.line" for i, label in enumerate(commands)}
        logs = {label: line.with_suffix(".log") for label, line in lines.items()}
        workers: Workers = []
        with ending(workers), noting_warnings() as warnings:
            for label, words in commands.items():
                own = {"OMP_NUM_THREADS": threads, "SKFM_PROGRESS": str(lines[label])}
                workers.append(start(words, logs[label], own, module))
            watch(workers, warnings, _Lines(lines), True)
        for log in logs.values():
            for line in printed(log):
                if not line.startswith(SAYS):
                    print(line, flush=True)
        if warnings:
            raise Interrupted("told to stop", remedy=GO_ON)
        ends = zip(logs.items(), workers)
        return {
            label: _wrong(log, w.returncode) for (label, log), w in ends if w.returncode
        }


class _Lines(Progress):
    """The progress lines of several processes, each kept in a file, as one line."""

    def __init__(self, files: Mapping[str, Path]) -> None:
        super().__init__(" and ".join(files))
        self.files = files

    def line(self, final: bool = False) -> str:
        if final:
            return f"{self.label} · {clock(self.elapsed)}"
        share = shutil.get_terminal_size().columns // len(self.files) - 3
        room = share if sys.stderr.isatty() else None  # a log has room for all
        lines = []
        for label, file in self.files.items():
            text = file.read_text(encoding="utf-8") if file.is_file() else "starting"
            lines.append(f"{label} · {text}"[:room])
        return " │ ".join(lines)


def _wrong(log: Path, status: int) -> SkfmError:
    """What a process that ended with `status` said of it."""
    if status == SAVED:
        return Interrupted(said(log))
    if why := said(log):
        return SkfmError(why)
    last = printed(log)[-1:] or ["nothing"]
    return SkfmError(f"ended with status {status}, saying {last[0]!r}", remedy=GO_ON)
