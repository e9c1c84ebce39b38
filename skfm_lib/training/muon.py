"""Muon for the hidden convolutions of a network, Adam for its other weights.

Muon (Jordan et al. 2024) makes a step whose singular values are all about one: a
momentum M = U S Vᵀ is replaced by approximately U Vᵀ.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

from skfm_lib.presets import TrainingConfig
from skfm_lib.training.optimizer import adam
from skfm_lib.utils.errors import SkfmError


class MuonWithAdam:
    """Muon for `hidden_kernels`, as matrices; Adam for all other weights.

    The matrix of a kernel (a, b, k, k, k) is (a, b·k³): of a convolution, (out, in·k³)
    maps the patch that it reads; of a transposed one, (in, out·k³) is the transpose of
    what maps a voxel to the patch that it writes, and so is the step.  The step is U Vᵀ
    by five Newton–Schulz iterations in bf16, times rate · 0.2 · √max(a, b·k³): its root
    mean square is then like that of a step of Adam, whose learning rate can be used
    (Liu et al. 2025).  Nesterov momentum 0.95, no weight decay.

    The weights must be on their device before: the matrices are views of the kernels.

    Raises:
        SkfmError: for a network without such kernels.
    """

    def __init__(self, network: nn.Module, settings: TrainingConfig) -> None:
        self.kernels = hidden_kernels(network)
        if not self.kernels:
            raise SkfmError(
                f"optimizer 'muon' for {type(network).__name__}",
                "a network with convolutions between its first and its last",
                "optimizer 'adam'",
            )
        self.matrices = [
            nn.Parameter(_rows(k.detach(), k).view(len(k), -1)) for k in self.kernels
        ]
        self.muon = torch.optim.Muon(
            self.matrices,
            settings.learning_rate,
            weight_decay=0.0,
            adjust_lr_fn="match_rms_adamw",
        )
        known = set(map(id, self.kernels))
        others = [w for w in network.parameters() if id(w) not in known]
        self.adam = adam(nn.ParameterList(others), settings)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Those of both; they have the same learning rate."""
        return self.muon.param_groups + self.adam.param_groups

    def step(self) -> None:
        """Update all weights by their gradients."""
        for kernel, matrix in zip(self.kernels, self.matrices):
            if kernel.grad is not None:
                matrix.grad = _rows(kernel.grad, kernel).reshape(matrix.shape)
        self.muon.step()
        self.muon.zero_grad()
        self.adam.step()

    def state_dict(self) -> dict[str, Any]:
        """The states of both, for a checkpoint."""
        return {"muon": self.muon.state_dict(), "adam": self.adam.state_dict()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Resume from `state_dict`."""
        self.muon.load_state_dict(state_dict["muon"])
        self.adam.load_state_dict(state_dict["adam"])


def hidden_kernels(network: nn.Module) -> list[nn.Parameter]:
    """Kernels of the 3D convolutions but the first and the last, as they are defined.

    Those whose matrix has rank 1 are left out: it has no direction to balance.
    """
    kinds = (nn.Conv3d, nn.ConvTranspose3d)
    found = [
        cast(nn.Parameter, m.weight) for m in network.modules() if isinstance(m, kinds)
    ]
    return [w for w in found[1:-1] if min(len(w), w[0].numel()) > 1]


def _rows(x: Tensor, kernel: nn.Parameter) -> Tensor:
    """`x`, of the kernel's shape, with its axes in the order of the kernel in memory.

    In ``channels_last_3d``, the columns of the matrix are permuted, and so is the step.
    """
    return x if kernel.is_contiguous() else x.movedim(1, -1)
