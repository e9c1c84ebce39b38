"""Training checkpoints, and trained weights as safetensors files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

CONTENTS = {"fingerprint", "step", "model", "average", "optimiser", "history"}


def read_checkpoint(path: Path) -> dict[str, Any]:
    """The content of a checkpoint, with at least the keys in `CONTENTS`.

    Raises:
        SkfmError: if the file is damaged or is not such a checkpoint.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if missing := CONTENTS - set(state):
            raise ValueError(f"no {', '.join(sorted(missing))}")
        return state
    except Exception as error:
        raise SkfmError(
            f"{path} cannot be read ({type(error).__name__})",
            "a complete checkpoint of this study",
            "move the file away to start the stage from the beginning",
        ) from error


def read_history(path: Path) -> dict[str, list[float]]:
    """The losses of a training in its checkpoint: quantity → a value a step."""
    return {k: v.tolist() for k, v in read_checkpoint(path)["history"].items()}


def save_weights(model: nn.Module, path: Path, about: Mapping[str, object]) -> None:
    """Save a network's weights as safetensors, with `about` as metadata (JSON)."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary, {"about": json.dumps(dict(about))})


def load_weights(model: nn.Module, path: Path, *needed: str) -> dict[str, Any]:
    """Load weights saved by `save_weights` into `model`; returns their metadata.

    Raises:
        SkfmError: for a missing or damaged file, weights of other shapes, and a file
            without the metadata of `save_weights` or its keys `needed`.
    """
    remedy = "run the training stage again"
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}
            about = json.loads((file.metadata() or {}).get("about", "null"))
        model.load_state_dict(state)
    except (OSError, ValueError, SafetensorError) as error:
        found = f"{path} cannot be read ({error})"
        raise SkfmError(found, "weights written by this study", remedy) from error
    except RuntimeError as error:
        raise SkfmError(
            f"{path} holds weights of another network",
            f"those of {type(model).__name__} at this preset",
            "use the preset that the weights were trained with",
        ) from error
    if not isinstance(about, dict) or not about.keys() >= set(needed):
        expected = " and ".join(["metadata written by this study", *needed])
        raise SkfmError(f"{path} has no record of its training", expected, remedy)
    return about
