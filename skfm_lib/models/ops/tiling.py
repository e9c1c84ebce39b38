"""Maps of any size, worked on slab by slab along D, exactly.

A full-resolution map of the paper's decoder takes 2.95 GB in bf16.  What a layer
needs beside its maps (an activated copy, a normalised one, a gradient on the way)
therefore never exists as a whole, but for a few planes at a time; on a CPU these
stay in its cache.  Halos are exact, and no layer sees where the cuts are.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

SLAB = {"cpu": 1 << 24, "cuda": 1 << 29}  # bytes worked on at a time


def cuts(x: Tensor) -> list[slice]:
    """Even slabs of at least two planes along D (one, where D is that short)."""
    depth = x.shape[2]
    plane = x.element_size() * x.numel() // depth
    planes = max(2, SLAB.get(x.device.type, 1 << 24) // max(1, plane))
    count = max(1, depth // planes)
    edges = [depth * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


def with_halo(
    x: Tensor, transform: Callable[[Tensor], Tensor] = lambda part: part
) -> Iterator[tuple[slice, Tensor]]:
    """(slab, transform(x) of that slab with one plane more at both ends).

    Outside the map the halo is zero.  Each plane is transformed once: the two that
    the next slab needs again are carried along.  So the caller may overwrite the
    slab of x that it was just given.
    """
    carried = None
    for part in cuts(x):
        first = 0 if carried is None else part.start + 1
        fresh = transform(x[:, :, first : part.stop + 1])
        if carried is None:
            carried = torch.zeros_like(fresh[:, :, :1])
        planes = [carried, fresh]
        if part.stop == x.shape[2]:
            planes.append(torch.zeros_like(carried[:, :, :1]))
        block = torch.cat(planes, dim=2)
        carried = block[:, :, -2:].clone()
        yield part, block
