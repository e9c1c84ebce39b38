"""The one training loop: mixed precision, averaged weights, exact resume.

    for step in trainer.steps("VQ-VAE"):
        loss = …                       # of the batch of this step
        trainer.descend(loss)

`steps` goes on after the last checkpoint, shows progress and saves; everything
random is a function of (seed, step), so that stopping and resuming gives bit for
bit what an uninterrupted run gives.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from skfm_lib.data.files import replacing
from skfm_lib.device import Device
from skfm_lib.errors import SkfmError
from skfm_lib.presets import Training
from skfm_lib.progress import Progress

CLIP = 1.0  # norm of the gradient
SAVE_SECONDS = 60.0
CONTENTS = {"fingerprint", "step", "model", "average", "optimiser", "history"}


class Trainer:
    """A network, its optimiser, its averaged weights and the history of its losses."""

    def __init__(
        self,
        model: nn.Module,
        settings: Training,
        device: Device,
        folder: Path,
        fingerprint: str,
        ema_decay: float | None = None,
        save_seconds: float = SAVE_SECONDS,
    ) -> None:
        self.model = device.place(model)
        self.settings, self.fingerprint = settings, fingerprint
        self.checkpoint, self.save_seconds = folder / "checkpoint.pt", save_seconds
        self.ema_decay = ema_decay
        weights = list(model.parameters())
        self.optimiser = torch.optim.Adam(
            weights, settings.learning_rate, betas=settings.betas, fused=True
        )
        self.average = [w.detach().clone() for w in weights] if ema_decay else []
        self.step, self.history = 0, {}
        if self.checkpoint.is_file():
            self._load()

    def steps(self, label: str) -> Iterator[int]:
        """The steps that are left, from the last checkpoint; saves on the way."""
        saved, total = time.monotonic(), self.settings.steps
        if self.step == total:
            return
        with Progress(label, total, self.step) as bar:
            while self.step < total:
                self.model.train()
                yield self.step
                self.step += 1
                bar.advance(note=self._note())
                if time.monotonic() - saved > self.save_seconds or self.step == total:
                    self.save()
                    saved = time.monotonic()

    def descend(self, loss: Tensor, **record: Tensor | float) -> None:
        """One step of Adam down `loss`; `record` joins the history beside it."""
        values = {"loss": loss, **record}
        values = {
            name: float(torch.as_tensor(v).detach()) for name, v in values.items()
        }
        if not all(math.isfinite(value) for value in values.values()):
            raise SkfmError(
                f"step {self.step}: {values}",
                "finite losses",
                "lower learning_rate; the last checkpoint is kept",
            )
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), CLIP)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.settings, self.step)
        self.optimiser.step()
        self._update_average()
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)

    def use_average(self) -> nn.Module:
        """The network with its averaged weights, for sampling."""
        with torch.no_grad():
            for weight, mean in zip(self.model.parameters(), self.average):
                weight.copy_(mean)
        return self.model.eval()

    def save(self) -> None:
        """Write the checkpoint whole, or leave the former one."""
        state = {
            "fingerprint": self.fingerprint,
            "step": self.step,
            "model": self.model.state_dict(),
            "average": self.average,
            "optimiser": self.optimiser.state_dict(),
            "history": {
                k: torch.tensor(v, dtype=torch.float64) for k, v in self.history.items()
            },
        }
        with replacing(self.checkpoint) as temporary:
            torch.save(state, temporary)

    def _load(self) -> None:
        state = _read_checkpoint(self.checkpoint)
        if state["fingerprint"] != self.fingerprint:
            raise SkfmError(
                f"{self.checkpoint} was made with other settings",
                f"fingerprint {self.fingerprint}, found {state['fingerprint']}",
                "choose another run name, or move the file away to start anew",
            )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.history = {k: v.tolist() for k, v in state["history"].items()}
        for mean, saved in zip(self.average, state["average"]):
            mean.copy_(saved)

    def _update_average(self) -> None:
        if self.ema_decay:
            decay = min(self.ema_decay, (1 + self.step) / (10 + self.step))
            weights = [w.detach() for w in self.model.parameters()]
            torch._foreach_lerp_(self.average, weights, 1 - decay)

    def _note(self) -> str:
        recent = [
            f"{k} {sum(v[-20:]) / len(v[-20:]):.4g}" for k, v in self.history.items()
        ]
        return ", ".join(recent)


def learning_rate(settings: Training, step: int) -> float:
    """Linear warm-up, then a cosine from the full rate to `final_rate` of it."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    cosine = (1 + math.cos(math.pi * step / settings.steps)) / 2
    share = settings.final_rate + (1 - settings.final_rate) * cosine
    return settings.learning_rate * warm * share


def _read_checkpoint(path: Path) -> dict:
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
