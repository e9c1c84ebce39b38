"""A training watched in JupyterLab: its losses and samples, while it goes on."""

import contextlib
import io
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from IPython.display import DisplayHandle, Image, display
from matplotlib.figure import Figure, SubFigure

from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.front_end import in_jupyterlab
from skfm_lib.view.curves import draw_losses
from skfm_lib.view.slices import middle_slice

SHARE = 0.03  # of the time: half for the pictures, half for the samples in them
GUESS = 0.15  # seconds that the first of each takes

Rows = Mapping[str, Mapping[str, np.ndarray]]  # row → column → v (D, H, W) in [−1, 1]


class Budget:
    """Seconds spent on something, of which the time that has passed affords a share."""

    def __init__(self) -> None:
        self.spent, self.cost = 0.0, GUESS

    def affords(self, elapsed: float) -> bool:
        """Whether once more, as dear as the last time, is within the share."""
        return self.spent + self.cost <= SHARE / 2 * elapsed

    @contextlib.contextmanager
    def timed(self) -> Iterator[None]:
        """Inside, the seconds are counted."""
        started = time.monotonic()
        yield
        self.cost = time.monotonic() - started
        self.spent += self.cost


class LiveView:
    """Pictures of a training: give it as `watch` to the function that trains.

    In JupyterLab, one output is updated in place; a line of text replaces it at the end
    of the training, so that a saved notebook keeps no picture of a moment.  Under
    papermill and elsewhere it does nothing.  Pictures take at most `SHARE` of the time,
    once that of the first is made up for: losses are drawn often, and samples, which
    take longer, less often.

    Weights, losses and random numbers of the training are the same with and without.

    Args:
        quantity: of the history; its values are drawn.
        sample: what the network makes, in evaluation mode and with the averaged
            weights, such as a `generation.Preview`; middle sagittal slices are shown.
    """

    def __init__(self, quantity: str, sample: Callable[[Any], Rows]) -> None:
        self.quantity, self.sample = quantity, sample
        self.pictures, self.of_pictures, self.of_samples = 0, Budget(), Budget()
        self.rows: Rows = {}  # the last samples
        self.too_large = False  # the samples, for the memory that the training leaves
        self._began: float | None = None
        self._output: DisplayHandle | None = None

    def __call__(self, trainer: Trainer[Any]) -> None:
        """After a step: a new picture where the time has come."""
        if not in_jupyterlab():
            return
        now = time.monotonic()
        self._began = now if self._began is None else self._began
        elapsed = now - self._began
        if trainer.step >= trainer.settings.steps:
            self._end(elapsed)
        elif self.of_pictures.affords(elapsed):
            if self.of_samples.affords(elapsed):
                with self.of_samples.timed():
                    self.rows = self._samples(trainer)
            with self.of_pictures.timed():
                self._show(Image(self._picture(trainer), format="png", retina=True))
            self.pictures += 1

    @property
    def spent(self) -> float:
        """Seconds for all pictures and samples."""
        return self.of_pictures.spent + self.of_samples.spent

    def _end(self, elapsed: float) -> None:
        if self._output:
            share = f"{self.spent / elapsed:.1%} of the time"
            text = f"Pictures while training: {self.pictures}, {share}"
            self._output.update({"text/plain": text}, raw=True)

    def _show(self, image: Image) -> None:
        if self._output:
            self._output.update(image)
        else:
            self._output = display(image, display_id=True)

    def _picture(self, trainer: Trainer[Any]) -> bytes:
        """The picture as PNG, without pyplot, which would show it once more."""
        figure = Figure(figsize=(8.4, 2.7), dpi=180, layout="constrained")
        parts = figure.subfigures(1, 2, squeeze=False, width_ratios=(1.3, 1))
        left, right = parts[0]
        axis = left.subplots()
        draw_losses(axis, {"training": trainer.history}, self.quantity)
        axis.set_title(f"step {trainer.step} of {trainer.settings.steps}", fontsize=10)
        _slices(right, self.rows)
        if self.too_large:
            right.text(
                0.5, 0.5, "no memory for samples\nbeside this training", ha="center"
            )
        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        return buffer.getvalue()

    def _samples(self, trainer: Trainer[Any]) -> Rows:
        """What the network makes; nothing where that does not fit into memory."""
        if self.too_large:
            return {}
        try:
            with trainer.averaged() as network:
                return self.sample(network)
        except torch.OutOfMemoryError:  # not worth a training
            self.too_large = True
            return {}


def _slices(figure: SubFigure, rows: Rows) -> None:
    """Middle sagittal slices, one row a source."""
    if not rows:
        return
    columns = max(map(len, rows.values()))
    axes = figure.subplots(len(rows), columns, squeeze=False)
    for axis, title in zip(axes[0], next(iter(rows.values()))):
        axis.set_title(title, fontsize=9)
    for line, (name, volumes) in zip(axes, rows.items()):
        line[0].set_ylabel(name, fontsize=9)
        for axis, volume in zip(line, volumes.values()):
            image = middle_slice(volume)
            axis.imshow(image, cmap="bone", origin="lower", vmin=-1, vmax=1)
            axis.set(xticks=[], yticks=[])
