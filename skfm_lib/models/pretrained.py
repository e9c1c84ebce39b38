"""Weights that others have published."""

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from skfm_lib.utils.errors import SkfmError


def read_released(path: Path, content: str, source: str) -> dict[str, Any]:
    """The mapping in a PyTorch file, read without running code from the file.

    Raises:
        SkfmError: if the file is missing, damaged or not a mapping; it states the
            `content` that is expected and the `source` of such files.
    """
    if not path.is_file():
        raise SkfmError(f"no file {path}", content, source)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as problem:
        found = f"{path} cannot be read as weights"
        raise SkfmError(found, "a complete PyTorch file", source) from problem
    if not isinstance(found, dict):
        raise SkfmError(f"{path} holds no weights by name", content, source)
    return found


def load_released(
    network: nn.Module, state: Mapping[str, Any], path: Path, content: str, source: str
) -> None:
    """Load a network's state that was read from `path` (see `read_released`).

    Raises:
        SkfmError: if names or shapes are not those of the network.
    """
    try:
        network.load_state_dict(state)
    except RuntimeError as problem:
        summary = " ".join(str(problem).split())[:200]
        found = f"{path} holds other weights ({summary} …)"
        raise SkfmError(found, content, source) from problem
