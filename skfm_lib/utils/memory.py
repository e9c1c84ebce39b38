"""How much memory this process holds, and how much it may take."""

import resource
import sys
from pathlib import Path

import torch

STATUS = Path("/proc/self/status")
MEMINFO, CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")
OWN_GROUP = Path("/proc/self/cgroup")
UNKNOWN = 8 << 30  # bytes assumed to be free where the system does not say


def available() -> int:
    """Bytes of main memory that are free, within the limit of a job or container."""
    found = UNKNOWN
    if MEMINFO.is_file():
        lines = MEMINFO.read_text(encoding="ascii").splitlines()
        fields = {line.partition(":")[0]: line.split() for line in lines}
        found = int(fields["MemAvailable"][1]) << 10
    return max(0, min([found, *_cgroup_rooms()]))


def _cgroup_rooms() -> list[int]:
    """What the limits on this process's control groups (Linux, version 2) leave.

    A batch system limits a job by a group above the process's own.  File pages that are
    only cached do not count as used.
    """
    lines = OWN_GROUP.read_text("ascii").splitlines() if OWN_GROUP.is_file() else []
    own = next((line[3:] for line in lines if line.startswith("0::")), "/")
    folder, rooms = CGROUP / own.lstrip("/"), []
    for group in (folder, *folder.parents):
        limit = group / "memory.max"
        if limit.is_file() and (most := limit.read_text("ascii").strip()) != "max":
            lines = (group / "memory.stat").read_text("ascii").splitlines()
            stat = dict(map(str.split, lines))
            used = int((group / "memory.current").read_text())
            rooms.append(int(most) - used + int(stat["inactive_file"]))
        if group == CGROUP:
            break
    return rooms


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
