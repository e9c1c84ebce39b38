"""Checkpoints of trainings, and trained weights as safetensors."""

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

CONTENTS = {"fingerprint", "step", "model", "average", "optimiser", "history"}


def read_checkpoint(path: Path) -> dict:
    """A checkpoint's `CONTENTS`; SkfmError when it is damaged or another's."""
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        if missing := CONTENTS - set(state):
            raise ValueError(f"no {', '.join(sorted(missing))}")
        return state
    except Exception as error:
        raise SkfmError(
            f"{path} cannot be read ({type(error).__name__})",
            "a whole checkpoint of this study",
            "move the file away to start the stage anew",
        ) from error


def save_weights(model: nn.Module, path: Path, about: Mapping[str, object]) -> None:
    """Release a network's weights as safetensors, with `about` as metadata."""
    state = {k: v.detach().cpu().contiguous() for k, v in model.state_dict().items()}
    with replacing(path) as temporary:
        save_file(state, temporary, {"about": json.dumps(dict(about))})


def load_weights(model: nn.Module, path: Path) -> dict[str, object]:
    """Load released weights into `model`; returns what `save_weights` was told.

    Raises SkfmError for a missing or damaged file and for weights of another shape.
    """
    try:
        with safe_open(path, "pt") as file:
            state = {name: file.get_tensor(name) for name in file.keys()}
            about = json.loads((file.metadata() or {}).get("about", "{}"))
        model.load_state_dict(state)
    except (OSError, SafetensorError) as error:
        raise SkfmError(
            f"{path} cannot be read ({error})",
            "weights written by this study",
            "run the training stage again",
        ) from error
    except RuntimeError as error:
        raise SkfmError(
            f"{path} holds weights of another network",
            f"those of {type(model).__name__} at this preset",
            "use the preset that the weights were trained with",
        ) from error
    return about
