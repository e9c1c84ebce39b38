"""Muon for the hidden convolutions of a network, Adam for its other weights.

Muon (Jordan et al. 2024) makes steps whose singular values are all about one: of the
momentum M = U S Vᵀ of a matrix, approximately U Vᵀ.  `torch.optim.Muon` is not used: it
takes matrices only, and bf16 only, in which a step takes 16 times as long as in float32
on a CPU without such instructions (preset quick, AVX2).
"""

import math
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from skfm_lib.presets import TrainingConfig
from skfm_lib.presets.settings import Optimizer
from skfm_lib.training.optimizer import Optimiser, adam
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)
ITERATIONS = 5
ADAM = 0.2  # root mean square of Adam's steps at a learning rate of 1 (Liu et al. 2025)


class MuonWithAdam:
    """Muon for `hidden_kernels`, Adam for all other weights, at one learning rate.

    Steps are computed in `dtype`.

    Raises:
        SkfmError: for a network without such kernels.
    """

    def __init__(
        self, network: nn.Module, settings: TrainingConfig, dtype: torch.dtype
    ) -> None:
        kernels = hidden_kernels(network)
        if not kernels:
            raise SkfmError(
                f"optimizer 'muon' for {type(network).__name__}",
                "a network with convolutions between its first and its last",
                "optimizer 'adam'",
            )
        self.muon = Muon(kernels, settings.learning_rate, dtype)
        known = set(map(id, kernels))
        others = [w for w in network.parameters() if id(w) not in known]
        self.adam = adam(nn.ParameterList(others), settings)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of both."""
        return self.muon.param_groups + self.adam.param_groups

    def step(self) -> None:
        """Update all weights by their gradients."""
        self.muon.step()
        self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both, for a checkpoint."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from `state_dict`."""
        self.muon.load_state_dict(state_dict["muon"])
        self.adam.load_state_dict(state_dict["adam"])


def optimiser_of(
    name: Optimizer, device: Device
) -> Callable[[nn.Module, TrainingConfig], Optimiser]:
    """What makes the optimizer of a setting: Adam, or Muon in the device's dtype."""
    return partial(MuonWithAdam, dtype=device.dtype) if name == "muon" else adam


class Muon(torch.optim.Optimizer):
    """Muon with Nesterov momentum, without weight decay, of kernels (a, b, k, k, k).

    The matrix of a kernel is (a, b·k³): of a convolution, (out, in·k³) maps the patch
    that it reads; of a transposed one, (in, out·k³) is the transpose of what maps a
    voxel to the patch that it writes, and so is the step.  A step is `orthogonal` times
    lr · 0.2 · √max(a, b·k³), as large as one of Adam (root mean square).
    """

    def __init__(
        self, kernels: Iterable[nn.Parameter], rate: float, dtype: torch.dtype
    ) -> None:
        super().__init__(kernels, {"lr": rate})
        self.dtype = dtype

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]
        """Update the kernels that have a gradient."""
        for group in self.param_groups:
            for kernel in group["params"]:
                if kernel.grad is not None:
                    self._update(kernel, group["lr"])

    def _update(self, kernel: nn.Parameter, rate: float) -> None:
        state, grad = self.state[kernel], cast(Tensor, kernel.grad)
        if not state:
            state["momentum"] = torch.zeros_like(kernel)
        mean = state["momentum"].lerp_(grad, 1 - MOMENTUM)
        # Channels last: free in that layout.  Columns are permuted, and so is the step.
        direction = grad.lerp(mean, MOMENTUM).movedim(1, -1)
        matrix = direction.flatten(1).to(self.dtype)
        step = orthogonal(matrix).reshape(direction.shape)
        size = rate * ADAM * math.sqrt(max(matrix.shape))
        kernel.movedim(1, -1).sub_(step, alpha=size)


def orthogonal(matrix: Float[Tensor, "a b"]) -> Float[Tensor, "a b"]:
    """U S' Vᵀ of a `matrix` U S Vᵀ, with S' ≈ 1 where S is not ≈ 0.

    Newton–Schulz iterations X ← a X + (b A + c A²) X with A = X Xᵀ, from ‖X‖ = 1.
    """
    x = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
    x = x / x.norm().clamp(min=1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x if matrix.shape[0] <= matrix.shape[1] else x.T


def hidden_kernels(network: nn.Module) -> list[nn.Parameter]:
    """Kernels of the 3D convolutions but the first and the last, as they are defined.

    Those whose matrix has rank 1 are left out: it has no direction to balance.
    """
    kinds = (nn.Conv3d, nn.ConvTranspose3d)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    found = [cast(nn.Parameter, layer.weight) for layer in layers[1:-1]]
    return [w for w in found if min(len(w), w[0].numel()) > 1]
