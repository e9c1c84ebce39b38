"""What is kept for the backward pass, and what is computed again."""

import contextlib
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.utils.checkpoint import checkpoint

LARGE = 1 << 27  # bytes of a map that is worth a second computation


def large(x: Tensor, times: float = 1) -> bool:
    """Whether `times` the map takes more than `LARGE`; never so without gradients."""
    return torch.is_grad_enabled() and times * x.numel() * x.element_size() > LARGE


def checkpoint_if(layers: Callable[[Tensor], Tensor], x: Tensor, when: bool) -> Tensor:
    """layers(x); `when` so, what lies between is not kept but computed again."""
    return checkpoint(layers, x, use_reentrant=False) if when else layers(x)


def in_parts(
    layer: Callable[[Tensor], Tensor],
    learned: Iterable[Tensor],
    x: Tensor,
    length: int,
    axis: int,
) -> Tensor:
    """layer(x) of the shape of x, `length` of `axis` at a time and nothing kept.

    For a layer under which parts along `axis` are independent; `learned` are its
    parameters.  Results go straight
    to their place: kept aside, they would scatter the memory that the next part
    takes its temporary maps from.
    """
    return _InParts.apply(layer, length, axis, x, *learned)


class _InParts(torch.autograd.Function):
    @staticmethod
    def forward(ctx, layer, length, axis, x, *learned):
        ctx.layer, ctx.how = layer, (length, axis)
        ctx.save_for_backward(x, *learned)
        out = torch.empty_like(x)
        for part, into in zip(x.split(*ctx.how), out.split(*ctx.how)):
            into.copy_(layer(part))
        return out

    @staticmethod
    def backward(ctx, grad):
        x, *learned = ctx.saved_tensors
        out = torch.empty_like(x)
        sums = [torch.zeros_like(p) for p in learned]
        views = (t.split(*ctx.how) for t in (x, grad, out))
        for part, of_part, into in zip(*views):
            part = part.detach().requires_grad_()
            with torch.enable_grad():
                made = ctx.layer(part)
            found = torch.autograd.grad(made, [part, *learned], of_part)
            into.copy_(found[0])
            torch._foreach_add_(sums, found[1:])
        return None, None, None, out, *sums


@contextlib.contextmanager
def recomputed(x: Tensor, layer: nn.Module, source: Tensor) -> Iterator[None]:
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
