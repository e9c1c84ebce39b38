"""What is saved for the backward pass, and what is recomputed."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

from skfm_lib.utils.device import sizes

Layer = Callable[[Tensor], Tensor]


def large(x: Tensor, times: float = 1) -> bool:
    """Whether `times` the map is too large to be saved; False without gradients."""
    size = times * x.numel() * x.element_size()
    return torch.is_grad_enabled() and size > sizes(x).saved


def checkpoint_if(layers: Layer, x: Tensor, when: bool) -> Tensor:
    """layers(x); with `when`, intermediate maps are recomputed instead of saved."""
    return checkpoint(layers, x, use_reentrant=False) if when else layers(x)


def in_parts(
    layer: Layer, learned: Iterable[Tensor], x: Tensor, length: int, axis: int
) -> Tensor:
    """layer(x) of the shape of x, by parts of a length along an axis; saves only x.

    Parts must be independent under `layer`, whose parameters are `learned`.  Results
    are written directly into the output: in a list, they would fragment the memory
    from which the next part allocates its temporary maps.
    """
    return _InParts.apply(layer, length, axis, x, *learned)


class _InParts(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, layer: Layer, length: int, axis: int, x: Tensor, *learned: Tensor
    ) -> Tensor:
        ctx.layer, ctx.how = layer, (length, axis)
        ctx.save_for_backward(x, *learned)
        out = torch.empty_like(x)
        for part, into in zip(x.split(*ctx.how), out.split(*ctx.how)):
            into.copy_(layer(part))
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, *learned = ctx.saved_tensors
        out = torch.empty_like(x)
        sums = [torch.zeros_like(p) for p in learned]
        for part, of_part, into in zip(*(t.split(*ctx.how) for t in (x, grad, out))):
            part = part.detach().requires_grad_()
            with torch.enable_grad():
                result = ctx.layer(part)
            found = torch.autograd.grad(result, [part, *learned], of_part)
            into.copy_(found[0])
            torch._foreach_add_(sums, found[1:])
        return None, None, None, out, *sums


@contextlib.contextmanager
def recomputed(x: Tensor, layer: Layer, source: Tensor) -> Iterator[None]:
    """Inside, a large x = layer(source) is not saved but recomputed where needed.

    Unlike a checkpoint around the layers that follow, this repeats only `layer`.
    """
    if not large(x):
        yield
        return
    device, storage = x.device.type, x.untyped_storage()._cdata
    mixed = torch.is_autocast_enabled(device)
    dtype = torch.get_autocast_dtype(device)

    def pack(saved: Tensor) -> Tensor | tuple:
        if saved.untyped_storage()._cdata != storage:
            return saved
        return saved.shape, saved.stride(), saved.storage_offset()

    def unpack(packed: Tensor | tuple) -> Tensor:
        if isinstance(packed, Tensor):
            return packed
        with torch.no_grad(), torch.autocast(device, dtype, enabled=mixed):
            return layer(source).as_strided(*packed)

    with saved_tensors_hooks(pack, unpack):
        yield
