"""FLOPs and tensor memory of a computation, counted while it runs."""

import weakref
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import (
    flop_registry,
    sdpa_backward_flop_count,
    sdpa_flop_count,
)

ATTENTION = "_scaled_dot_product_flash_attention_for_cpu"


class _Counter(TorchDispatchMode):
    """Runs every operation as it is and passes it, with its result, to `count`."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # otherwise PyTorch loads its compiler: seconds, and 70 MB

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        self.count(func, out, *args, **(kwargs or {}))
        return out

    def count(self, func: Any, out: Any, *args: Any, **kwargs: Any) -> None:
        """Count one operation."""


class FlopCount(_Counter):
    """Counts the FLOPs, ``total``, of convolutions and matrix products.

    A multiply-add counts two, by PyTorch's own formulas (`torch.utils.flop_counter`);
    what a backward pass recomputes is counted again.  Unlike PyTorch's
    `FlopCounterMode` it does not decompose operations, so that time and memory are
    unchanged.
    """

    def __init__(self) -> None:
        super().__init__()
        self.total = 0

    def count(self, func: Any, out: Any, *args: Any, **kwargs: Any) -> None:
        if formula := FORMULAS.get(func.overloadpacket):
            self.total += formula(*args, **kwargs, out_val=out)


class MemoryCount(_Counter):
    """Counts the bytes of tensors created inside: those alive ``now``, and ``peak``."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._known: dict[int, weakref.ref] = {}

    def count(self, func: Any, out: Any, *args: Any, **kwargs: Any) -> None:
        created = () if func.is_view else tree_leaves(out)
        storages = [x.untyped_storage() for x in created if isinstance(x, Tensor)]
        for storage in storages:
            key, size = storage._cdata, storage.nbytes()
            if key not in self._known:
                gone = partial(self._remove, key, size)
                self._known[key] = weakref.ref(storage, gone)
                self.now += size
                self.peak = max(self.peak, self.now)

    def _remove(self, key: int, size: int, _: weakref.ref) -> None:
        self.now -= size
        del self._known[key]


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any) -> int:
    return sdpa_flop_count(q.shape, k.shape, v.shape)


def _attention_backward(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: Any, **__: Any
) -> int:
    return sdpa_backward_flop_count(grad.shape, q.shape, k.shape, v.shape)


FORMULAS: dict[object, Callable[..., int]] = {
    **flop_registry,
    # PyTorch 2.13 has formulas for the CUDA kernels of attention only.
    getattr(torch.ops.aten, ATTENTION): _attention,
    getattr(torch.ops.aten, f"{ATTENTION}_backward"): _attention_backward,
}
