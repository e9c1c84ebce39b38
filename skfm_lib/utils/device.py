"""The one place that picks device, precision and memory layout.

On a CPU with bf16 instructions (AMX, AVX512-BF16) and on CUDA, convolutions run in
bf16 autocast and in ``channels_last_3d``; that is where the fast kernels are.  On
any other CPU they run in float32.  Weights are always held in float32.
"""

import ctypes
import sys
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeVar, cast

import torch
from torch import Tensor, nn

from skfm_lib.utils import distributed

M = TypeVar("M", bound=Tensor | nn.Module)

# Of glibc's mallopt (malloc.h); see `_keep_freed_memory`.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
KEPT, KEPT_AT_MOST = 1 << 28, 1 << 30  # bytes: of one block, of all that lies free


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
        return move(self.device, memory_format=layout)

    def __str__(self) -> str:
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
        else:
            name = f"CPU, {torch.get_num_threads()} threads"
        return f"{name}, {str(self.dtype).removeprefix('torch.')}"


def pick_device() -> Device:
    """CUDA if there is one, else the CPU; bf16 where the hardware computes in it.

    Of several processes on one machine each takes a GPU of its own.
    """
    if torch.cuda.is_available():
        return Device(torch.device("cuda", distributed.gpu()), torch.bfloat16)
    _keep_freed_memory()
    fast = torch.backends.mkldnn.is_available()
    bf16 = fast and torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return Device(torch.device("cpu"), torch.bfloat16 if bf16 else torch.float32)


def _keep_freed_memory() -> None:
    """Let freed maps be used again, where the C library is glibc.

    By default every block above 32 MB is taken from the system and given back, and
    its pages are cleared anew each time: operations on maps of that size then run
    at 1 to 3 GB/s instead of 10 to 20.
    """
    if sys.platform == "linux" and hasattr(libc := ctypes.CDLL(None), "mallopt"):
        libc.mallopt(M_MMAP_THRESHOLD, KEPT)
        libc.mallopt(M_TRIM_THRESHOLD, KEPT_AT_MOST)
