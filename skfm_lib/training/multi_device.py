"""Stages that several devices train together: settings, checks, processes.

The processes connect as those of torchrun do.  torchrun itself is not suitable: it
turns every exit status into 1, ends on SIGUSR1 by default, and allows processes that
are saving no more than 30 seconds.
"""

import json
import sys
import tempfile
from collections.abc import Mapping, Sized
from pathlib import Path
from typing import Any

import torch
from torch.distributed import TCPStore

from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Stage, Study, stage_names
from skfm_lib.training.checkpoints import read_checkpoint
from skfm_lib.utils import accelerator, distributed, subprocesses
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.errors import SAVED, Interrupted, SkfmError
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.signals import noting_warnings
from skfm_lib.utils.subprocesses import GO_ON, said

LOCALHOST = "127.0.0.1"


def training_stage(
    study: Study,
    name: str,
    group: str,
    training_set: Sized,
    devices: int,
    changes: Mapping[str, object],
    **record: object,
) -> tuple[Stage, Any]:
    """Begin or resume a stage that several devices train: the stage and its settings.

    Args:
        study: the run.
        name: of the stage.
        group: of the preset's settings, such as "vqvae".
        training_set: must hold at least one batch of all devices.
        devices: each takes a batch of its own, so their number is one of the stage's
            settings; 1 is the default and omitted, which keeps fingerprints.
        changes: to the settings of the preset; None keeps a setting.
        record: further settings of the stage.

    Raises:
        SkfmError: for parameters out of range, before anything is written.
    """
    if devices < 1:
        raise SkfmError(f"devices {devices}", "a whole number from 1")
    settings = getattr(study.settings, group).but(**changes)
    most = max(1, len(training_set) // devices)
    if changes.get("batch") is None and settings.batch > most:
        print(f"batch {most} instead of {settings.batch}: {len(training_set)} skulls")
        settings = settings.but(batch=most)
    global_batch(settings, training_set, devices)
    chosen = {**record, group: settings.as_dict()}
    if devices > 1:
        chosen["devices"] = devices
    with distributed.in_turn():
        return study.stage(name, chosen, stage_names.NEEDS[name]), settings


def global_batch(settings: TrainingConfig, training_set: Sized, devices: int) -> int:
    """Items per step of all devices; SkfmError if the training set has fewer."""
    count, items = settings.batch * devices, len(training_set)
    if count > items:
        raise SkfmError(
            f"batch {settings.batch} on {devices} device(s), training set of {items}",
            "a batch no larger than the training set",
            f"-p batch {max(1, items // devices)}",
        )
    return count


def pace(settings: TrainingConfig, devices: int) -> str:
    """``4 devices × batch 1 = 4 skulls a step, learning rate …, on NVIDIA …``.

    The learning rate is not scaled with the number of devices: those of the paper's
    Table 7 are for its four GPUs of batch 1.  (The code that the paper is based on
    multiplied its base rate by their number; ``-p learning_rate`` sets another.)
    """
    skulls, noun = devices * settings.batch, "device" if devices == 1 else "devices"
    return (
        f"{devices} {noun} × batch {settings.batch} = {skulls} "
        f"skull{'s' if skulls > 1 else ''} a step, "
        f"learning rate {settings.learning_rate:g}, on {pick_device()}"
    )


def train_in_processes(stage: Stage, settings: TrainingConfig) -> None:
    """Train a stage of several devices in as many processes, unless it is trained.

    Does nothing within one of these processes, and for a stage of one device.
    SkfmError for more devices than there are GPUs (on a CPU any number is allowed), and
    as `launch` raises.
    """
    devices, joined = stage.settings.get("devices", 1), distributed.devices()
    checkpoint = stage.folder / "checkpoint.pt"
    if devices == joined or (
        checkpoint.is_file() and read_checkpoint(checkpoint)["step"] == settings.steps
    ):
        return
    if joined > 1:
        found = f"{joined} processes for a stage of {devices} device(s)"
        raise SkfmError(found, "the same number", f"--devices {joined}")
    gpus = torch.cuda.device_count() if accelerator.device_type() == "cuda" else 0
    if 0 < gpus < devices:
        raise SkfmError(
            f"{devices} devices requested, {gpus} CUDA device(s) on this machine",
            f"at most {gpus}",
            f"use {gpus}, or see the book's page On a cluster for several nodes",
        )
    study, words = stage.study, ["train", stage.name[:2], "--devices", str(devices)]
    words += ["--preset", study.settings.name, "--run", study.name]
    words += ["--seed", str(study.seed)]
    selecting = stage_names.PARAMETERS.get(stage.name, {})
    # All of them: those at a default are not recorded, and the preset's may be others.
    given = {k: v for k, v in vars(settings).items() if v is not None}
    for name, value in {**given, **selecting}.items():
        words += ["-p", name, json.dumps(value)]
    launch(words, devices, stage.name)


def launch(words: list[str], devices: int, label: str) -> None:
    """Run ``skfm WORDS`` in `devices` processes that train together, to the end.

    Shows the progress of the first process and forwards signals to all.

    Raises:
        Interrupted: if they were stopped by a signal.
        SkfmError: with the message of the process that failed; the others are ended.
    """
    # The port of a store in this process is certainly free.
    store = TCPStore(LOCALHOST, 0, is_master=True, wait_for_workers=False)
    with tempfile.TemporaryDirectory() as folder:
        progress = Path(folder) / "progress"
        logs = [progress.with_name(f"{rank}.log") for rank in range(devices)]
        common = {  # as torchrun sets them; the processes share the cores
            "WORLD_SIZE": str(devices),
            "MASTER_ADDR": LOCALHOST,
            "MASTER_PORT": str(store.port),
            "TORCHELASTIC_USE_AGENT_STORE": str(True),  # the store is in this process
            "OMP_NUM_THREADS": str(max(1, torch.get_num_threads() // devices)),
            "SKFM_PROGRESS": str(progress),
        }
        workers: subprocesses.Workers = []
        with subprocesses.ending(workers), noting_warnings() as warnings:
            for rank, log in enumerate(logs):
                own = {**common, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                workers.append(subprocesses.start(words, log, own))
            subprocesses.watch(workers, warnings, _Mirror(label, progress), False)
        _raise_failure(subprocesses.states(workers), bool(warnings), logs)


class _Mirror(Progress):
    """The progress line of another process, read from a file."""

    def __init__(self, label: str, path: Path) -> None:
        super().__init__(label)
        self.text, self.path = f"{label}: starting", path

    def line(self, final: bool = False) -> str:
        if self.path.is_file():
            self.text = self.path.read_text(encoding="utf-8") or self.text
        return self.text


def _raise_failure(status: list[int | None], warned: bool, logs: list[Path]) -> None:
    """Raise the error of the processes, if one did not end with status 0."""
    if not any(status):
        return
    if SAVED in status:
        raise Interrupted(said(logs[status.index(SAVED)]))
    if warned:
        raise Interrupted("stopped by a signal before the first step", remedy=GO_ON)
    failed = [rank for rank, code in enumerate(status) if code]
    # A process that lost another one is not the cause of the failure.
    rank = min(failed, key=lambda rank: distributed.LOST in said(logs[rank]))
    if message := said(logs[rank]):
        raise SkfmError(message)
    print(*subprocesses.printed(logs[rank]), sep="\n", file=sys.stderr)
    raise SkfmError(
        f"process {rank} of {len(status)} ended with status {status[rank]}",
        remedy=f"see its output above, if any; {GO_ON}",
    )
