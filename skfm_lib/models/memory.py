"""What is kept for the backward pass, and what is computed again."""

import contextlib
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

LARGE = 1 << 27  # bytes of a map that is worth a second computation


def large(x: Tensor, times: float = 1) -> bool:
    """Whether `times` the map takes more than `LARGE`; never so without gradients."""
    return torch.is_grad_enabled() and times * x.numel() * x.element_size() > LARGE


def again(layers: Callable[[Tensor], Tensor], x: Tensor, when: bool) -> Tensor:
    """layers(x); `when` so, what lies between is not kept but computed again."""
    return checkpoint(layers, x, use_reentrant=False) if when else layers(x)


@contextlib.contextmanager
def remade(x: Tensor, layer: nn.Module, source: Tensor) -> Iterator[None]:
    """While open, a large x = layer(source) is remade by who needs it, not kept.

    Unlike a checkpoint around all that follows, this repeats nothing but `layer`.
    """
    if not large(x):
        yield
        return
    device, storage = x.device.type, x.untyped_storage()._cdata
    mixed = torch.is_autocast_enabled(device)
    precision = torch.get_autocast_dtype(device)

    def pack(kept: Tensor) -> Tensor | tuple:
        if kept.untyped_storage()._cdata != storage:
            return kept
        return kept.shape, kept.stride(), kept.storage_offset()

    def unpack(packed: Tensor | tuple) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        with torch.no_grad(), torch.autocast(device, precision, enabled=mixed):
            return layer(source).as_strided(*packed)

    with saved_tensors_hooks(pack, unpack):
        yield
