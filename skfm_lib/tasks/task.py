"""A task on point clouds: its network, trained, loaded and applied in batches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import pandas as pd
import torch
from torch import Tensor, nn

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.point_clouds import KEPT, CloudSet
from skfm_lib.presets import TrainingConfig
from skfm_lib.study import Stage
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

Network = TypeVar("Network", bound=nn.Module)
History = dict[str, list[float]]
Pairs = Callable[[Tensor, Any, int, int], tuple[Tensor, Tensor]]
Loss = Callable[[Network, Tensor, Tensor, Device], tuple[Tensor, dict[str, Tensor]]]
Errors = Callable[[Network, CloudSet, SkullSet, Device, int], pd.DataFrame]


@dataclass(frozen=True)
class Task(Generic[Network]):
    """A network on point clouds, how it is trained and how it is evaluated.

    Attributes:
        name: of the network's group of the preset and of its weights.
        stage: the chapter's stage.
        network: makes the network from its settings.
        pairs: ``(points, settings, seed, step)`` → inputs and targets of a training
            step, from points (b, KEPT, 3), mm, of aligned skulls.
        loss: ``(network, inputs, targets, device)`` → the loss and what is recorded
            beside it.
        errors: ``(network, clouds, skulls, device, seed)`` → errors on the test skulls,
            given as clouds and as volumes.
    """

    name: str
    stage: str
    network: Callable[..., Network]
    pairs: Pairs
    loss: Loss[Network]
    errors: Errors[Network]

    @property
    def folder(self) -> str:
        """The folder of the task's experiments in a study's."""
        return f"{self.stage[:2]}_experiments"

    @property
    def weights(self) -> str:
        """The file of the network's weights."""
        return f"{self.name}.safetensors"

    def train(
        self,
        stage: Stage,
        clouds: CloudSet,
        settings: TrainingConfig,
        device: Device,
        about: str = "",
    ) -> tuple[Network, History]:
        """Train from the stage's seed, or resume; save the weights to its folder.

        `about` is shown with the progress: which of several trainings it is.
        """
        seed = seed_of(stage.settings["seed"], self.name)
        torch.manual_seed(seed)
        model = self.network(settings)
        trainer = Trainer(model, settings, device, stage.folder, stage.fingerprint)

        def pairs(step: int) -> tuple[Tensor, ...]:
            items = batch_indices(seed, step, len(clouds), settings.batch)
            points = clouds.sample(items, KEPT, generator(seed, "points", step))
            return self.pairs(points, settings, seed, step)

        label = ", ".join(filter(None, (self.name.capitalize(), about)))
        for _, (inputs, targets) in trainer.batches(label, pairs):
            loss, recorded = self.loss(model, inputs, targets, device)
            trainer.descend(loss, **recorded)
        save_weights(model, stage.folder / self.weights, settings.as_dict())
        return model.eval(), trainer.history

    def load(self, stage: Stage, settings: TrainingConfig, device: Device) -> Network:
        """The network that `train` saved to a stage's folder, for inference."""
        model = self.network(settings)
        load_weights(model, stage.folder / self.weights)
        return device.to_device(model).eval()


@torch.no_grad()
def predict(
    model: nn.Module, clouds: Tensor, batch: int, device: Device
) -> list[Tensor]:
    """The outputs of a network for clouds (b, n, 3), `batch` at a time, on the CPU."""
    parts = []
    for part in clouds.split(batch):
        with device.autocast():
            parts.append([out.cpu() for out in model(device.to_device(part))])
    return [torch.cat(outputs) for outputs in zip(*parts)]
