"""Exact processing of large maps in slabs along D.

A full-resolution map of the paper's decoder takes 2.95 GB in bf16.  Temporary maps
(activations, normalised copies, gradients) therefore exist for a few planes at a
time only (`device.Sizes`); on a CPU these stay in its cache.  Halos are exact: results
do not depend on where the cuts are.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from skfm_lib.utils.device import sizes


def cuts(x: Tensor) -> list[slice]:
    """Even slabs of at least two planes along D (one, where D is that short)."""
    depth = x.shape[2]
    plane = x.element_size() * x.numel() // depth
    planes = max(2, sizes(x).slab // max(1, plane))
    count = max(1, depth // planes)
    edges = [depth * i // count for i in range(count + 1)]
    return [slice(a, b) for a, b in zip(edges, edges[1:])]


def with_halo(
    x: Tensor, transform: Callable[[Tensor], Tensor] = lambda part: part
) -> Iterator[tuple[slice, Tensor]]:
    """Slabs of transform(x) with one more plane at both ends, zero outside the map.

    Each plane is transformed once; the two that the next slab needs as well are
    carried over.  The caller may therefore overwrite a slab of x after receiving it.

    Yields:
        The slab's slice along D, and the transformed slab with its halo.
    """
    carried = edge = None
    for part in cuts(x):
        first = 0 if carried is None else part.start + 1
        fresh = transform(x[:, :, first : part.stop + 1])
        if edge is None:
            edge = torch.zeros_like(fresh[:, :, :1])
        planes = [edge if carried is None else carried, fresh]
        last = part.stop == x.shape[2]
        block = torch.cat(planes + [edge] * last, dim=2)
        if not last:
            carried = block[:, :, -2:].clone()
        yield part, block
