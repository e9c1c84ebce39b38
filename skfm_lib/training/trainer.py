"""The training loop: mixed precision, averaged weights, exact resume, several devices.

    for step, batch in trainer.batches("VQ-VAE", make_batch):
        loss = …
        trainer.descend(loss)

Everything random is a function of (seed, step), so that a stopped and resumed
training gives the same bits as an uninterrupted one.

Of several processes (`distributed.joined`), each computes its share of the batch;
gradients and recorded losses are averaged, so that all have the same weights and
history, and the first one saves them.  DistributedDataParallel is not used because it
hooks into one ``forward``: losses call parts of a network (``VQVAE.loss``), and the
codebook is updated without gradients.
"""

import contextlib
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from skfm_lib.presets import TrainingConfig
from skfm_lib.training.averages import Decay, exponential, power_function
from skfm_lib.training.checkpoints import read_checkpoint
from skfm_lib.training.optimizer import (
    Companion,
    Optimiser,
    adam,
    descend,
    learning_rate,
)
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import Interrupted, SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.prefetch import Batch, Prefetch
from skfm_lib.utils.progress import Progress
from skfm_lib.utils.signals import noting_warnings

SAVE_SECONDS = 60.0
Network = TypeVar("Network", bound=nn.Module)
Watch = Callable[["Trainer[Any]"], None]  # what it gets goes on afterwards as it was


class Trainer(Generic[Network]):
    """A network with its optimizer, averaged weights, and history of losses.

    The average is exponential (`ema_decay`); with `average_lengths`, there is a
    power-function average of each relative length instead (`averages`).  The averages
    of `more_decays` come after these.

    Resumes from ``folder/checkpoint.pt`` if that exists, and refuses one of another
    `fingerprint`.  A `companion` network is saved and resumed at the same step.
    `watch` is called after every step, in the first process only.
    """

    def __init__(
        self,
        model: Network,
        settings: TrainingConfig,
        device: Device,
        folder: Path,
        fingerprint: str,
        ema_decay: float | None = None,
        save_seconds: float = SAVE_SECONDS,
        companion: Companion | None = None,
        average_lengths: Sequence[float] = (),
        make_optimiser: Callable[[nn.Module, TrainingConfig], Optimiser] = adam,
        more_decays: Sequence[Decay] = (),
        watch: Watch | None = None,
    ) -> None:
        self.model, self.device = device.to_device(model), device
        self.settings, self.fingerprint = settings, fingerprint
        self.checkpoint, self.save_seconds = folder / "checkpoint.pt", save_seconds
        self.companion, self.watch = companion, watch
        self.optimiser = make_optimiser(model, settings)
        self.decays: list[Decay] = [exponential(ema_decay)] if ema_decay else []
        if average_lengths:
            self.decays = [power_function(length) for length in average_lengths]
        self.decays += more_decays
        weights = list(model.parameters())
        self.average = [w.detach().clone() for _ in self.decays for w in weights]
        self.step, self._warned = 0, False
        self.history: dict[str, list[float]] = {}
        self._warnings: list[str] = []
        if self.checkpoint.is_file():
            self._load()
        self._check_same_step()

    def batches(
        self, label: str, make: Callable[[int], Batch]
    ) -> Iterator[tuple[int, Batch]]:
        """The remaining `steps`, each with ``make(step)`` on the device.

        The next batch is prepared meanwhile (`Prefetch`); afterwards it is printed for
        which share of the time the steps waited for data.
        """
        started, first = time.monotonic(), self.step
        prefetch = Prefetch(make, self.settings.steps - 1, self.device)
        with contextlib.closing(prefetch):
            for step in self.steps(label):
                yield step, prefetch(step)
        if self.step > first:
            share = prefetch.waited / (time.monotonic() - started)
            print(f"{label}: {share:.1%} of the time was spent waiting for data")

    def steps(self, label: str) -> Iterator[int]:
        """Iterate over the remaining steps, with progress and regular checkpoints.

        Raises:
            Interrupted: after a signal (SIGUSR1, SIGTERM) to any process; all finish
                the current step and the checkpoint is saved first.
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
                if self.watch and distributed.is_first():
                    self.watch(self)
            distributed.wait()  # until the first process has saved
        if self.step < total:
            raise Interrupted(
                f"{label} was stopped by a signal and saved after step {self.step}"
                f" of {total}",
                remedy="the same command resumes",
            )

    def descend(self, loss: Tensor, **record: Tensor | float) -> None:
        """Take one step on `loss`; `record` is added to the history with it."""
        self.record(loss=loss, **record)
        rate = learning_rate(self.settings, self.step)
        descend(self.model, self.optimiser, loss, rate)
        weights = [w.detach() for w in self.model.parameters()]
        for index, decay in enumerate(self.decays):
            torch._foreach_lerp_(self._average(index), weights, 1 - decay(self.step))

    def record(self, **values: Tensor | float) -> None:
        """Add a step's values, averaged over the devices, to the history.

        Raises:
            SkfmError: if a value is not finite.
        """
        means = self._mean(values)
        if not all(math.isfinite(value) for value in means.values()):
            raise SkfmError(
                f"step {self.step}: {means}",
                "finite losses",
                "lower learning_rate; the last checkpoint is kept",
            )
        for name, value in means.items():
            self.history.setdefault(name, []).append(value)

    def use_average(self, index: int = 0) -> Network:
        """The network with the averaged weights number `index`, in evaluation mode."""
        with torch.no_grad():
            for weight, mean in zip(self.model.parameters(), self._average(index)):
                weight.copy_(mean)
        return self.model.eval()

    @contextlib.contextmanager
    def averaged(self, index: int = 0) -> Iterator[Network]:
        """The network with its averaged weights; afterwards training goes on."""
        own = [weight.detach().clone() for weight in self.model.parameters()]
        try:
            yield self.use_average(index)
        finally:
            with torch.no_grad():
                torch._foreach_copy_(list(self.model.parameters()), own)
            self.model.train()

    def save(self) -> None:
        """Write the checkpoint atomically, in the first process only."""
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

    def _load(self) -> None:
        state = read_checkpoint(self.checkpoint)
        if state["fingerprint"] != self.fingerprint:
            raise SkfmError(
                f"{self.checkpoint} was made with other settings",
                f"fingerprint {self.fingerprint}, found {state['fingerprint']}",
                "choose another run name, or move the file away to start again",
            )
        self.step = state["step"]
        self.model.load_state_dict(state["model"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.history = {k: v.tolist() for k, v in state["history"].items()}
        for mean, saved in zip(self.average, state["average"]):
            mean.copy_(saved)
        if self.companion:
            self.companion.load_state_dict(state["companion"])

    def _average(self, index: int) -> list[Tensor]:
        """The weights of an average; `average` holds one after the other."""
        count = len(self.average) // max(1, len(self.decays))
        return self.average[index * count : (index + 1) * count]

    def _check_same_step(self) -> None:
        if distributed.mean([self.step]) != [self.step]:
            raise SkfmError(
                f"process {distributed.rank()} would resume at step {self.step} of "
                f"{self.checkpoint}, others at another step",
                "one checkpoint for all processes",
                "put runs/ on a file system that all nodes share",
            )

    def _mean(self, values: Mapping[str, Tensor | float]) -> dict[str, float]:
        """Means over the devices; the same message shares whether any was signalled."""
        numbers = [float(torch.as_tensor(v).detach()) for v in values.values()]
        *means, warned = distributed.mean([*numbers, float(bool(self._warnings))])
        self._warned = warned > 0
        return dict(zip(values, means))

    def _note(self) -> str:
        """The mean of the last 20 values of each loss."""
        return ", ".join(f"{k} {fmean(v[-20:]):.4g}" for k, v in self.history.items())
