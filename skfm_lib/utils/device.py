"""The one place for what depends on the device: precision, layout, sizes, algorithms.

On a CPU with bf16 instructions (AMX, AVX512-BF16) and on a GPU from compute capability
8.0, convolutions run in bf16 autocast and in ``channels_last_3d``; that is where the
fast kernels are.  On any other device they run in float32.  Weights are always held in
float32.
"""

import contextlib
import ctypes
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

import torch
from torch import Tensor, nn

from skfm_lib.utils import accelerator, distributed

M = TypeVar("M", bound=Tensor | nn.Module)

# Of glibc's mallopt (malloc.h); see `_keep_freed_memory`.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, KEPT_AT_MOST = 1 << 28, 1 << 30  # bytes: of one block, of all that lies free


@dataclass(frozen=True)
class Sizes:
    """How large maps are processed on a device.  Results do not depend on it.

    Attributes:
        slab: bytes of a map that are normalised or convolved at a time.
        part: voxels that are attended to at a time.
        saved: bytes of the largest map that is saved for the backward pass; larger
            ones are recomputed.
    """

    slab: int
    part: int
    saved: int


# Slabs and parts stay in the cache: of 10,000 voxels with 8 heads, queries, keys and
# values take 15 MB in bf16.
CPU = Sizes(slab=1 << 24, part=10_000, saved=1 << 27)
_sizes: Sizes | None = None  # set by `processed`
_like_gpu = False


@dataclass(frozen=True)
class Device:
    """Where and in which precision networks run."""

    device: torch.device
    dtype: torch.dtype

    def autocast(self) -> AbstractContextManager:
        """Context in which convolutions and products run in `dtype`."""
        mixed = self.dtype != torch.float32
        return torch.autocast(self.device.type, dtype=self.dtype, enabled=mixed)

    def to_device(self, item: M) -> M:
        """Move a module or tensor here; volumes (5-D) go to ``channels_last_3d``."""
        layout = torch.preserve_format
        if isinstance(item, nn.Module) or item.dim() == 5:
            layout = torch.channels_last_3d
        move = cast(Callable[..., M], item.to)
        # From pinned memory, the copy goes on while the CPU does; else this waits.
        return move(self.device, memory_format=layout, non_blocking=True)

    def synchronise(self) -> None:
        """Wait until the device has done its work, before a time is taken."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def free_memory(self) -> tuple[int, int]:
        """Bytes of a GPU that are free and all of them; kept but unused ones count."""
        gpu = getattr(torch, self.device.type)
        gpu.empty_cache()  # of an earlier training in this process
        return gpu.mem_get_info(self.device)

    def __str__(self) -> str:
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
        elif self.device.type == "cpu":
            name = f"CPU, {torch.get_num_threads()} threads"
        else:
            name = str(self.device)
        return f"{name}, {str(self.dtype).removeprefix('torch.')}"


def pick_device() -> Device:
    """A GPU if there is one, else the CPU; bf16 where the hardware computes in it.

    ``SKFM_DEVICE`` (cpu, cuda) names the device; of several processes on one machine
    each takes a GPU of its own.  With ``SKFM_DETERMINISTIC=1``, a GPU repeats its
    results bit for bit (a CPU always does).

    Raises:
        SkfmError: where a GPU cannot be used (`accelerator`).
    """
    kind = accelerator.device_type()
    if kind == "cpu":
        _keep_freed_memory()
        fast = torch.backends.mkldnn.is_available()
        bf16 = fast and torch.ops.mkldnn._is_mkldnn_bf16_supported()
        return Device(torch.device("cpu"), torch.bfloat16 if bf16 else torch.float32)
    settings: Any = torch  # whose stubs lack some settings
    if os.environ.get("SKFM_DETERMINISTIC", "0") not in ("", "0"):
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
        settings.utils.deterministic.fill_uninitialized_memory = False
    if kind != "cuda":
        return Device(torch.device(kind, 0), torch.bfloat16)
    # What is computed in float32 needs it; by default, cuDNN rounds to TF32.
    # (Set by the newer names, cudnn.flags() fails in other packages.)
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cuda.matmul.allow_tf32 = False
    device = torch.device("cuda", distributed.gpu())
    capability = torch.cuda.get_device_capability(device)
    return Device(device, accelerator.check_capability(capability, str(device)))


def on_cpu(x: Tensor) -> bool:
    """Whether `x` is processed by the algorithms for a CPU."""
    return x.device.type == "cpu" and not _like_gpu


def sizes(x: Tensor) -> Sizes:
    """The sizes for maps like `x` on its device."""
    if _sizes:
        return _sizes
    return CPU if x.device.type == "cpu" else gpu_sizes(_total_memory(x.device))


def gpu_sizes(memory: int) -> Sizes:
    """The sizes for a GPU of so many bytes.

    They depend on the card, not on what is free: sums over slabs would otherwise be
    rounded differently from run to run.
    """
    return Sizes(slab=memory // 64, part=memory // 100_000, saved=memory // 24)


def planned(memory: int) -> AbstractContextManager:
    """Inside, tensors of the CPU are processed as on a GPU of so many bytes.

    For tensors without data, by which memory is counted, and for tests.
    """
    return processed(gpu_sizes(memory), like_gpu=True)


@contextlib.contextmanager
def processed(sizes: Sizes, like_gpu: bool = False) -> Iterator[None]:
    """Inside, maps are processed in these sizes."""
    global _sizes, _like_gpu
    former = _sizes, _like_gpu
    _sizes, _like_gpu = sizes, like_gpu
    try:
        yield
    finally:
        _sizes, _like_gpu = former


@lru_cache
def _total_memory(device: torch.device) -> int:
    return getattr(torch, device.type).get_device_properties(device).total_memory


def _keep_freed_memory() -> None:
    """Let freed maps be used again, where the C library is glibc.

    By default every block above 32 MB is taken from the system and given back, and
    its pages are cleared anew each time: operations on maps of that size then run
    at 1 to 3 GB/s instead of 10 to 20.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_AT_MOST)
