"""Steps of an optimizer, shared by every network that is trained."""

import math
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from skfm_lib.presets import TrainingConfig
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device

CLIP = 1.0  # norm of the gradient


@runtime_checkable
class Optimiser(Protocol):
    """What training needs of an optimizer; those of PyTorch have it."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Groups of weights, whose ``"lr"`` is set before every step."""

    def step(self) -> Any:
        """Update the weights by their gradients."""

    def state_dict(self) -> dict[str, Any]:
        """The state, for a checkpoint."""

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from `state_dict`."""


def adam(network: nn.Module, settings: TrainingConfig) -> torch.optim.Adam:
    """The optimizer of a network, with the learning rate and betas of its settings."""
    weights = list(network.parameters())
    rate, betas = settings.learning_rate, settings.betas
    return torch.optim.Adam(weights, rate, betas=betas, fused=True)


def descend(
    network: nn.Module, optimiser: Optimiser, loss: Tensor, rate: float
) -> None:
    """Take one step of the `optimiser` of a network on `loss` at a learning rate.

    The gradient is averaged over the devices, then clipped to a norm of 1.
    """
    network.zero_grad()
    loss.backward()
    gradients = [w.grad for w in network.parameters() if w.grad is not None]
    distributed.average(gradients)
    nn.utils.clip_grad_norm_(network.parameters(), CLIP)
    for group in optimiser.param_groups:
        group["lr"] = rate
    optimiser.step()


def learning_rate(settings: TrainingConfig, step: int) -> float:
    """Linear warm-up, then a cosine from the full rate to `final_rate` of it."""
    warm = min(1.0, (step + 1) / max(1, settings.warmup))
    cosine = (1 + math.cos(math.pi * step / settings.steps)) / 2
    share = settings.final_rate + (1 - settings.final_rate) * cosine
    return settings.learning_rate * warm * share


class Companion:
    """A second network with its own optimizer, such as a discriminator.

    It uses the learning rate of the first and is saved in the checkpoint of the first
    (`trainer.Trainer`), so that both resume at the same step.
    """

    def __init__(
        self, network: nn.Module, settings: TrainingConfig, device: Device
    ) -> None:
        self.network, self.settings = device.to_device(network), settings
        self.optimiser = adam(network, settings)

    def descend(self, loss: Tensor, step: int) -> None:
        """Take one step of Adam on `loss`, at the learning rate of `step`."""
        rate = learning_rate(self.settings, step)
        descend(self.network, self.optimiser, loss, rate)

    def state_dict(self) -> dict[str, Any]:
        """Weights and optimizer state, for a checkpoint."""
        return {
            "network": self.network.state_dict(),
            "optimiser": self.optimiser.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Resume from `state_dict`."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
