"""Files of weights that others have released."""

import pickle
from pathlib import Path

import torch

from skfm_lib.utils.errors import SkfmError


def read_released(path: Path, content: str, source: str) -> dict:
    """The mapping that a PyTorch file holds, read without running what is in it.

    content  what the file should hold, for errors; source: where it is had

    Raises SkfmError for a file that is missing, damaged or no mapping.
    """
    if not path.is_file():
        raise SkfmError(f"no file {path}", content, source)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, OSError, pickle.UnpicklingError) as problem:
        raise SkfmError(
            f"{path} cannot be read as weights", "a whole PyTorch file", source
        ) from problem
    if not isinstance(found, dict):
        raise SkfmError(f"{path} holds no weights by name", content, source)
    return found
