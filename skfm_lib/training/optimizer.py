"""One step of Adam, the same for every network that is trained."""

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from skfm_lib.presets import TrainingConfig
from skfm_lib.utils import distributed
from skfm_lib.utils.device import Device

CLIP = 1.0  # norm of the gradient


def adam(network: nn.Module, settings: TrainingConfig) -> torch.optim.Adam:
    """The optimiser of a network, with the moments' decay of its settings."""
    weights = list(network.parameters())
    rate, betas = settings.learning_rate, settings.betas
    return torch.optim.Adam(weights, rate, betas=betas, fused=True)


def descend(
    network: nn.Module, optimiser: torch.optim.Adam, loss: Tensor, rate: float
) -> None:
    """One step down `loss` at learning rate `rate`.

    The gradient is averaged over the devices, then clipped to a norm of 1.
    """
    optimiser.zero_grad(set_to_none=True)
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
    """A network that is trained beside another, by an optimiser of its own.

    It takes the other's learning rate, and goes into the other's checkpoint
    (`trainer.Trainer`), so that both resume at the same step.
    """

    def __init__(
        self, network: nn.Module, settings: TrainingConfig, device: Device
    ) -> None:
        self.network, self.settings = device.to_device(network), settings
        self.optimiser = adam(network, settings)

    def descend(self, loss: Tensor, step: int) -> None:
        """One step down `loss`, at the learning rate of `step`."""
        rate = learning_rate(self.settings, step)
        descend(self.network, self.optimiser, loss, rate)

    def state_dict(self) -> dict[str, object]:
        """All that it needs to go on."""
        parts = {"network": self.network, "optimiser": self.optimiser}
        return {name: part.state_dict() for name, part in parts.items()}

    def load_state_dict(self, state: Mapping[str, Mapping]) -> None:
        """Go on from there."""
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
