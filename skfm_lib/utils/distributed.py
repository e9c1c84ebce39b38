"""Several processes that train as one: a thin layer over torch.distributed.

A process joins the others from the environment of torchrun or of Slurm's srun, by
NCCL on CUDA and by gloo on a CPU.  Numbers that are on a CPU are exchanged by gloo in
any case, also where processes wait for each other: NCCL ends a process that has waited
for ten minutes.  Alone, a process is the first and the only one, and sums, means and
shares leave what they are given as it is.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor
from torch import distributed as dist

from skfm_lib.utils import accelerator
from skfm_lib.utils.errors import SkfmError

T = TypeVar("T", list, range, Tensor)
LAUNCHERS = (  # the names that hold rank, number of processes, rank on this machine
    ("RANK", "WORLD_SIZE", "LOCAL_RANK"),  # torchrun
    ("SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID"),  # srun
)
LOST = "lost another process"
PATIENCE = timedelta(hours=12)  # for a process that trains something for all
_on_cpu: dist.ProcessGroup | None = None
_patient: dist.ProcessGroup | None = None  # where processes wait for each other


def launched() -> tuple[int, int, int] | None:
    """(rank, processes, rank on this machine) from the launcher; None when alone."""
    for names in LAUNCHERS:
        if all(name in os.environ for name in names):
            rank_, count, local = (int(os.environ[name]) for name in names)
            return (rank_, count, local) if count > 1 else None
    return None


@contextlib.contextmanager
def joined() -> Iterator[None]:
    """Train with the processes that were launched together; alone, do nothing.

    All but the first print nothing, since they would only repeat it.

    Raises:
        SkfmError: when the address of the first process is not given, or when the
            processes cannot reach each other.
    """
    found = launched()
    if found is None:
        yield
        return
    _meet(*found)
    with contextlib.nullcontext() if is_first() else _silence():
        yield
    # Not after an error: another process may wait for a sum that never comes.
    dist.destroy_process_group()


def rank() -> int:
    """Number of this process, from 0."""
    return dist.get_rank() if dist.is_initialized() else 0


def devices() -> int:
    """How many processes, of one device each, train together."""
    return dist.get_world_size() if dist.is_initialized() else 1


def is_first() -> bool:
    """True in the process that writes files and shows progress."""
    return rank() == 0


def gpu() -> int:
    """Index of this process's GPU: its rank on this machine.

    0 where the launcher shows each process its own GPU only (Slurm's gpu binding).

    Raises:
        SkfmError: when there are more processes on the machine than GPUs.
    """
    found, seen = launched(), torch.cuda.device_count()
    local = found[2] if found and dist.is_initialized() else 0
    if local >= seen > 1:
        raise SkfmError(
            f"process {rank()} is number {local + 1} on a machine with {seen} GPUs",
            "one process a GPU",
            "ask for as many tasks on a node as it has GPUs",
        )
    return local if seen > 1 else 0


def share(items: T) -> T:
    """This process's part of the `items` of a global batch, in order of rank.

    N processes with batches of b thus see what one with a batch of N·b sees.
    """
    each = len(items) // devices()
    return items[rank() * each : (rank() + 1) * each]


def add(tensor: Tensor) -> Tensor:
    """`tensor`, in place, summed over the processes; SkfmError when one is lost."""
    return _add(tensor, _on_cpu if tensor.is_cpu else None)


def _add(tensor: Tensor, group: dist.ProcessGroup | None) -> Tensor:
    if devices() > 1:
        try:
            dist.all_reduce(tensor, group=group)
        except RuntimeError as error:
            raise SkfmError(
                f"process {rank()} {LOST} ({str(error).splitlines()[0]})",
                f"all {devices()} alive",
                "see the error of the other one; the same command resumes",
            ) from error
    return tensor


def mean(values: Sequence[float]) -> list[float]:
    """Each number averaged over the processes, in float64."""
    if devices() == 1:
        return list(values)
    own = torch.tensor(values, dtype=torch.float64)
    return (add(own) / devices()).tolist()


def average(tensors: Sequence[Tensor]) -> None:
    """Average `tensors`, in place, over the processes, in one message."""
    if devices() == 1 or not tensors:
        return
    flat = add(torch.cat([t.flatten() for t in tensors])).div_(devices())
    for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors])):
        tensor.copy_(part.view_as(tensor))


def wait() -> None:
    """A barrier: return when every process has reached it."""
    _add(torch.zeros(1), _patient)


@contextlib.contextmanager
def in_turn() -> Iterator[None]:
    """Run the block in one process after the other, where it writes files."""
    for _ in range(rank()):
        wait()
    try:
        yield
    finally:
        for _ in range(devices() - rank()):
            wait()


def _meet(number: int, count: int, local: int) -> None:
    missing = [n for n in ("MASTER_ADDR", "MASTER_PORT") if n not in os.environ]
    if missing:
        raise SkfmError(
            f"process {number} of {count} has no {' and no '.join(missing)}",
            "the address of the first process",
            "start it by torchrun, or by srun in a script of book/slurm/",
        )
    master = ":".join(os.environ[name] for name in ("MASTER_ADDR", "MASTER_PORT"))
    global _on_cpu, _patient
    backend = "nccl" if accelerator.device_type() == "cuda" else "gloo"
    try:
        dist.init_process_group(backend, rank=number, world_size=count)
        _on_cpu = dist.new_group(backend="gloo")
        _patient = dist.new_group(backend="gloo", timeout=PATIENCE)
    except (RuntimeError, ValueError) as error:
        why = str(error).splitlines()[0]
        raise SkfmError(
            f"process {number} could not reach the master at {master} ({why})",
            f"{count} processes that reach the first one there",
            "check MASTER_ADDR, MASTER_PORT and that all were started",
        ) from error
    if backend == "nccl":
        torch.cuda.set_device(gpu())


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    os.environ.pop("SKFM_PROGRESS", None)
    with open(os.devnull, "w") as nowhere:
        with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
            yield
