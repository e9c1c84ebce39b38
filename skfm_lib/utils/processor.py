"""The name of this machine's processor."""

import os
import platform
import re
from pathlib import Path

CPUINFO = Path("/proc/cpuinfo")


def processor_name() -> str:
    """As the system gives it, such as ``AMD EPYC 9654``."""
    listed = CPUINFO.read_text() if CPUINFO.is_file() else ""
    name = re.search(r"^model name.*?: (.*)", listed, re.MULTILINE)
    return name[1].strip() if name else platform.processor() or platform.machine()


def processor() -> str:
    """The name and the number of cores, such as ``AMD EPYC 9654 (2 cores)``."""
    return f"{processor_name()} ({os.cpu_count()} cores)"
