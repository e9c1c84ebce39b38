"""Which kind of device to compute on, and why a GPU of the machine cannot be used."""

import os
import re
import warnings
from collections.abc import Callable
from pathlib import Path

import torch

from skfm_lib.utils.errors import SkfmError

OLDEST = (7, 5)  # compute capability, of the CUDA builds of PyTorch 2.13
BF16 = (8, 0)  # computes in bf16; older GPUs emulate it
NODE, DRIVER = Path("/dev/nvidia0"), Path("/proc/driver/nvidia/version")
GIVEN = ("SLURM_JOB_GPUS", "SLURM_STEP_GPUS")  # set where a job was given GPUs
ON_CPU = "SKFM_DEVICE=cpu computes on the CPU"


def device_type() -> str:
    """``cuda`` if there is a usable GPU, else ``cpu``; ``SKFM_DEVICE`` overrides it.

    Raises:
        SkfmError: if the machine has an NVIDIA GPU that PyTorch cannot use, which is
            more likely a fault than a wish to compute on the CPU for weeks; and for
            another ``SKFM_DEVICE`` than a device of PyTorch.
    """
    if wanted := os.environ.get("SKFM_DEVICE"):
        try:
            kind = torch.device(wanted).type
        except RuntimeError as error:
            raise SkfmError(f"SKFM_DEVICE={wanted}", "cpu or cuda") from error
        if kind == "cuda" and not _answers(torch.cuda.is_available)[0]:
            raise SkfmError("SKFM_DEVICE=cuda, but CUDA is unavailable", remedy=ON_CPU)
        return kind
    available, warning = _answers(torch.cuda.is_available)
    if available:
        return "cuda"
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1")
    if (NODE.exists() or any(os.environ.get(name) for name in GIVEN)) and not hidden:
        found, remedy = _why_unusable(warning)
        raise SkfmError(
            f"this machine has an NVIDIA GPU that PyTorch cannot use: {found}",
            f"a driver for CUDA {torch.version.cuda or '12 or newer'}",
            f"{remedy}; {ON_CPU}",
        )
    return "cpu"


def check_capability(found: tuple[int, int], name: str) -> torch.dtype:
    """The dtype for networks on a GPU of this compute capability: bf16 from 8.0.

    Raises:
        SkfmError: for a GPU that PyTorch's CUDA builds do not support.
    """
    if found < OLDEST:
        raise SkfmError(
            f"{name} has compute capability {found[0]}.{found[1]}",
            f"at least {OLDEST[0]}.{OLDEST[1]}",
            f"use another GPU; {ON_CPU}",
        )
    return torch.bfloat16 if found >= BF16 else torch.float32


def driver() -> str | None:
    """The version of the NVIDIA driver, such as 580.65.06; None without one.

    From Linux's /proc, which also works where the driver is too old for PyTorch.
    """
    if not DRIVER.is_file():
        return None
    text = DRIVER.read_text(encoding="utf-8", errors="replace")
    found = re.search(r"Kernel Module.*?\s(\d+\.[\d.]+)\s", text)
    return found[1] if found else "unknown"


def _why_unusable(warning: str) -> tuple[str, str]:
    """What is wrong, and how to fix it."""
    version = driver()
    if torch.version.cuda is None:
        found = f"this PyTorch, {torch.__version__}, was built without CUDA"
        return found, "install the build for your CUDA from pytorch.org"
    if version is None:
        return "there is no driver", "ask for a node with a driver, or install one"
    found = f"driver {version}, PyTorch for CUDA {torch.version.cuda}"
    return f"{found}{warning and ': ' + warning}", "update the driver"


def _answers(ask: Callable[[], bool]) -> tuple[bool, str]:
    """The answer, and the first line of what PyTorch warned of meanwhile."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        answer = ask()
    said = [str(one.message).splitlines()[0] for one in caught]
    return answer, said[0].split(" (Triggered")[0] if said else ""
