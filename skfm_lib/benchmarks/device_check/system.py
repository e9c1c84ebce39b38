"""What surrounds the device: driver, rendering, several processes, whole chapters."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from skfm_lib.utils import accelerator
from skfm_lib.utils.device import Device
from skfm_lib.utils.memory import available
from skfm_lib.utils.paths import project_root
from skfm_lib.utils.subprocesses import COMMAND

GIB = 1 << 30
PATIENCE = 240  # seconds for a command at preset tiny
TRAINING = re.compile(r"VQ-VAE +\d+/")  # in a progress line
DISPLAY = ("DISPLAY", "WAYLAND_DISPLAY")
RENDER = """
import pyvista
plotter = pyvista.Plotter(off_screen=True, window_size=(64, 64))
plotter.add_mesh(pyvista.Sphere())
image = plotter.screenshot(return_img=True)
assert image.std() > 1, "an empty picture"
print(plotter.render_window.GetClassName())
"""
LIBRARIES = "install libegl1 or libosmesa6, and libgl1 (Debian's names)"

Result = dict[str, Any]


def hardware(device: Device) -> Result:
    """Versions and memory; for a GPU also capability and driver."""
    found: Result = {
        "device": str(device),
        "torch": torch.__version__,
        "free memory, GiB": available() / GIB,
    }
    if device.device.type == "cuda":
        free, total = torch.cuda.mem_get_info(device.device)
        capability = torch.cuda.get_device_capability(device.device)
        found |= {
            "GPUs": torch.cuda.device_count(),
            "capability": ".".join(map(str, capability)),
            "driver": accelerator.driver() or "unknown",
            "CUDA": torch.version.cuda or "unknown",
            "cuDNN": torch.backends.cudnn.version() or "none",
            "GPU memory, GiB": total / GIB,
            "of it free, GiB": free / GIB,
        }
    return found


def rendering(device: Device) -> Result:
    """A picture without a display, in a process of its own, since VTK may crash."""
    environment = {k: v for k, v in os.environ.items() if k not in DISPLAY}
    done = _run([sys.executable, "-c", RENDER], environment, Path.cwd())
    if done.returncode:
        said = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise AssertionError(f"no picture without a display ({said[0]}); {LIBRARIES}")
    return {"renderer": done.stdout.strip().splitlines()[-1]}


def chapters(device: Device) -> Result:
    """Chapters 1 and 2 at preset tiny, in a project of their own, without a display."""
    environment = {k: v for k, v in os.environ.items() if k not in DISPLAY}
    with _project() as folder:
        started = time.monotonic()
        words = ["run", "01", "02", "--preset", "tiny"]
        done = _run([*COMMAND, *words], environment, Path(folder))
        _succeeded(done)
        return {"seconds": time.monotonic() - started}


def processes(device: Device) -> Result:
    """Two processes train as one; if one is killed, the training ends with an error.

    By NCCL on two GPUs, by gloo on a CPU.
    """
    if device.device.type == "cuda" and torch.cuda.device_count() < 2:
        return {"skipped": "one GPU"}
    with _project() as folder:
        words = ["run", "01", "--preset", "tiny"]
        _succeeded(_run([*COMMAND, *words], dict(os.environ), Path(folder)))
        started = time.monotonic()
        train = ["train", "02", "--preset", "tiny", "--devices", "2"]
        _succeeded(_run([*COMMAND, *train], dict(os.environ), Path(folder)))
        found: Result = {"seconds of a training": time.monotonic() - started}
        found["seconds until a loss is noticed"] = _one_killed(Path(folder))
        return found


def _one_killed(folder: Path) -> float:
    """Kill one of two processes in training; seconds until the command has ended."""
    words = [*COMMAND, "train", "02", "--preset", "tiny", "--devices", "2"]
    progress = folder / "progress"
    training = subprocess.Popen(
        [*words, "-p", "steps", "100000"],
        env={**os.environ, "SKFM_PROGRESS": str(progress)},
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        begun = time.monotonic()
        while not (progress.is_file() and TRAINING.search(progress.read_text("utf-8"))):
            if time.monotonic() > begun + PATIENCE or training.poll() is not None:
                raise AssertionError("two processes did not begin to train")
            time.sleep(0.5)
        time.sleep(5)  # some steps
        children = Path(f"/proc/{training.pid}/task/{training.pid}/children")
        os.kill(int(children.read_text("ascii").split()[-1]), signal.SIGKILL)
        killed = time.monotonic()
        _, said = training.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired as error:
        found = f"the loss of a process was not noticed in {PATIENCE} s"
        raise AssertionError(found) from error
    finally:
        training.terminate()
    if training.returncode == 0 or "ended with status -9" not in said:
        raise AssertionError(f"the command ended with {said.strip().splitlines()[-1:]}")
    return time.monotonic() - killed


def _project() -> tempfile.TemporaryDirectory:
    """A folder with the project's notebooks, for runs that are thrown away."""
    made = tempfile.TemporaryDirectory(prefix="skfm-check-")
    shutil.copy(project_root() / "pyproject.toml", made.name)
    shutil.copytree(project_root() / "notebooks", Path(made.name) / "notebooks")
    return made


def _run(
    command: Sequence[str], environment: dict[str, str], folder: Path
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def _succeeded(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"status {done.returncode}"]
        raise AssertionError(last[0])
