"""What made a result."""

import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import torch

import skfm_lib
from skfm_lib.utils.accelerator import driver
from skfm_lib.utils.device import pick_device
from skfm_lib.utils.processor import processor

PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "pyvista", "scikit-image")


def provenance() -> dict[str, object]:
    """What made a result: processor, device, versions, commit, time.

    `clean` is False where tracked files differ from the commit, or there is none.
    """
    commit, changed = (
        _git("rev-parse", "--short=10", "HEAD"),
        _git("status", "-s", "-uno"),
    )
    return {
        "processor": processor(),
        "device": str(pick_device()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        **_cuda(),
        "skfm": skfm_lib.__version__,
        "commit": commit or "unknown",
        "clean": bool(commit) and not changed,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }


def _cuda() -> dict[str, object]:
    """Versions of CUDA, cuDNN and the driver, where a GPU computes."""
    if not torch.cuda.is_available():
        return {}
    versions = torch.version.cuda, torch.backends.cudnn.version(), driver()
    return {"cuda": dict(zip(("cuda", "cudnn", "driver"), versions))}


def _git(*words: str) -> str:
    """What git prints in the library's folder; "" without git or a repository."""
    try:
        done = subprocess.run(
            ["git", *words],
            cwd=Path(skfm_lib.__file__).parent,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()
