"""The one training loop: mixed precision, averaged weights, exact resume, devices.

    for step in trainer.steps("VQ-VAE"):
        loss = …                       # of the batch of this step
        trainer.descend(loss)

`steps` goes on after the last checkpoint, shows progress and saves; everything
random is a function of (seed, step), so that stopping and resuming gives bit for
bit what an uninterrupted run gives.

Several processes (`distributed.joined`) go the same way, each with its share of the
global batch: gradients and recorded losses are averaged over them, so that weights,
averages and history are the same in all, and the first one writes them.  This is
done here and not by DistributedDataParallel, which hooks into one ``forward``: the
losses call parts of a network (``VQVAE.loss``), and the codebook learns without
gradients.
"""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from skfm_lib.presets import TrainingConfig
from skfm_lib.training.checkpoints import read_checkpoint
from skfm_lib.training.optimizer import Companion, adam, descend, learning_rate
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import Interrupted, SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.signals import noting_warnings

SAVE_SECONDS = 60.0


class Trainer:
    """A network, its optimiser, its averaged weights and the history of its losses.

    A `companion` is saved with them and resumes with them, at the same step.
    """

    def __init__(
        self,
        model: nn.Module,
        settings: TrainingConfig,
        device: Device,
        folder: Path,
        fingerprint: str,
        ema_decay: float | None = None,
        save_seconds: float = SAVE_SECONDS,
        companion: Companion | None = None,
    ) -> None:
        self.model = device.to_device(model)
        self.settings, self.fingerprint = settings, fingerprint
        self.checkpoint, self.save_seconds = folder / "checkpoint.pt", save_seconds
        self.ema_decay = ema_decay
        self.companion = companion
        self.optimiser = adam(model, settings)
        weights = model.parameters() if ema_decay else ()
        self.average = [w.detach().clone() for w in weights]
        self.step, self.history = 0, {}
        self._warnings, self._warned = [], False
        if self.checkpoint.is_file():
            self._load()
        self._check_together()

    def steps(self, label: str) -> Iterator[int]:
        """The steps that are left, from the last checkpoint; saves on the way.

        After a warning (SIGUSR1, SIGTERM) to any process, all end the step under
        way, save, and raise Interrupted.
        """
        saved, total = time.monotonic(), self.settings.steps
        self._warned = False
        if self.step == total:
            return
        with (
            noting_warnings() as self._warnings,
            Progress(label, total, self.step) as bar,
        ):
            while self.step < total and not self._warned:
                self.model.train()
                yield self.step
                self.step += 1
                bar.advance(note=self._note())
                last = self.step == total or self._warned
                if last or time.monotonic() - saved > self.save_seconds:
                    self.save()
                    saved = time.monotonic()
            distributed.wait()  # none leaves before the first has saved
        if self.step < total:
            raise Interrupted(
                f"{label} was told to stop, and is saved after step {self.step}"
                f" of {total}",
                remedy="the same command goes on",
            )

    def descend(self, loss: Tensor, **record: Tensor | float) -> None:
        """One step of Adam down `loss`; `record` joins the history beside it."""
        self.record(loss=loss, **record)
        rate = learning_rate(self.settings, self.step)
        descend(self.model, self.optimiser, loss, rate)
        self._update_average()

    def record(self, **values: Tensor | float) -> None:
        """Add a step's values, averaged over the devices, to the history.

        Raises SkfmError where one is not finite.
        """
        values = self._agree(values)
        if not all(math.isfinite(value) for value in values.values()):
            raise SkfmError(
                f"step {self.step}: {values}",
                "finite losses",
                "lower learning_rate; the last checkpoint is kept",
            )
        for name, value in values.items():
            self.history.setdefault(name, []).append(value)

    def use_average(self) -> nn.Module:
        """The network with its averaged weights, for sampling."""
        with torch.no_grad():
            for weight, mean in zip(self.model.parameters(), self.average):
                weight.copy_(mean)
        return self.model.eval()

    def save(self) -> None:
        """Write the checkpoint whole, or leave the former one; only the first does."""
        if not distributed.is_first():
            return
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
        if self.companion:
            state["companion"] = self.companion.state_dict()
        with replacing(self.checkpoint) as temporary:
            torch.save(state, temporary)

    def _agree(self, values: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Means over the devices; with them goes whether anyone was warned."""
        numbers = [float(torch.as_tensor(v).detach()) for v in values.values()]
        *means, warned = distributed.mean([*numbers, float(bool(self._warnings))])
        self._warned = warned > 0
        return dict(zip(values, means))

    def _check_together(self) -> None:
        if distributed.mean([self.step]) != [self.step]:
            raise SkfmError(
                f"process {distributed.rank()} would go on from step {self.step} of "
                f"{self.checkpoint}, others from another one",
                "one checkpoint for all",
                "put runs/ on a file system that all nodes share",
            )

    def _load(self) -> None:
        state = read_checkpoint(self.checkpoint)
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
        if self.companion:
            self.companion.load_state_dict(state["companion"])

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
