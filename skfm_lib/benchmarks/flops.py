"""The arithmetic that a computation does, counted while it runs."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"


class FlopCount(TorchDispatchMode):
    """Counts ``total`` FLOPs of convolutions and matrix products run inside it.

    A multiply-add counts two, by PyTorch's own formulas (`torch.utils.flop_counter`);
    what a backward pass computes again is counted again.  Unlike PyTorch's
    `FlopCounterMode` it runs every operation as it is, not in parts, so that time
    and memory stay as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # else PyTorch loads its compiler: seconds, and 70 MB

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if rule := RULES.get(func.overloadpacket):
            self.total += rule(*args, **kwargs, out_val=out)
        return out


def _attention(q: Tensor, k: Tensor, v: Tensor, *_, **__) -> int:
    return sdpa_flop_count(q.shape, k.shape, v.shape)


def _attention_backward(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_, **__) -> int:
    return sdpa_backward_flop_count(grad.shape, q.shape, k.shape, v.shape)


RULES: dict[object, Callable[..., int]] = {
    **flop_registry,
    # PyTorch 2.13 has formulas for the CUDA kernels of attention only.
    getattr(torch.ops.aten, ATTENTION): _attention,
    getattr(torch.ops.aten, f"{ATTENTION}_backward"): _attention_backward,
}
