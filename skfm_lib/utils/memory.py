"""How much memory this process holds."""

import resource
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def memory() -> tuple[int, int]:
    """Bytes of memory that this process holds now, and held at most.

    Of the CUDA device, once it is in use.  On Linux from /proc, since `getrusage`
    there counts the peak of the process that started this one, too; elsewhere from
    `getrusage`, which knows the peak only: then both are that.
    """
    if torch.cuda.is_initialized():
        return torch.cuda.memory_allocated(), torch.cuda.max_memory_allocated()
    if STATUS.is_file():
        lines = STATUS.read_text(encoding="ascii").splitlines()
        found = {line.partition(":")[0]: line.split() for line in lines}
        return int(found["VmRSS"][1]) << 10, int(found["VmHWM"][1]) << 10
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    peak = peak if sys.platform == "darwin" else peak << 10
    return peak, peak
