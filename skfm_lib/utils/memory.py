"""How much memory this process holds."""

import resource
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")


def memory() -> tuple[int, int]:
    """Bytes of memory that this process holds now, and its peak.

    Of the CUDA device, once it is in use.  On Linux from /proc, since `getrusage`
    includes the peak of the parent process there; elsewhere from `getrusage`, which
    has the peak only: then both numbers are the peak.
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
