"""What made a result."""

import platform
import subprocess
import time
from importlib.metadata import version
from pathlib import Path

import skfm_lib
from skfm_lib.utils.device import pick_device

PACKAGES = ("torch", "numpy", "scipy", "SimpleITK", "pyvista", "scikit-image")


def provenance() -> dict[str, object]:
    """What made a result: device, versions, commit, time."""
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=Path(skfm_lib.__file__).parent,
        capture_output=True,
        text=True,
        check=False,
    )
    return {
        "device": str(pick_device()),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in PACKAGES},
        "skfm": skfm_lib.__version__,
        "commit": commit.stdout.strip() or "unknown",
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
    }
