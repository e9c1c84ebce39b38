"""Exact processing of large maps in slabs along D.

A full-resolution map of the paper's decoder takes 2.95 GB in bf16.  Temporary maps
(activations, normalised copies, gradients) therefore exist for a few planes at a
time only (`device.Sizes`); on a CPU these stay in its cache.  Halos are exact: results
do not depend on where the cuts are.
"""

from collections.abc import Callable, Iterator, Sequence

from torch import Tensor
from torch.nn import functional as F

from skfm_lib.models.ops.padding import empty_like, fill
from skfm_lib.presets import Padding
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
    x: Tensor,
    transform: Callable[[Tensor], Tensor] = lambda part: part,
    padding: Padding = "zeros",
    outside: int = 1,
    parts: list[slice] | None = None,
) -> Iterator[tuple[slice, Tensor]]:
    """Slabs of transform(x) with one more plane at both ends, and padded.

    Slabs are `parts`, by default the `cuts` of x.  Beyond the map, `outside` planes are
    added along D, H and W.  Each plane is transformed once; the two that the next slab
    needs as well are carried over.  The caller may therefore overwrite a slab of x
    after receiving it.

    Yields:
        The slab's slice along D, and the transformed slab with its halo.
    """
    carried = None
    inside = slice(outside, -outside)
    for part in parts or cuts(x):
        first, last = part.start == 0, part.stop == x.shape[2]
        fresh = transform(x[:, :, 0 if first else part.start + 1 : part.stop + 1])
        before, after = outside if first else 2, outside if last else 0
        height, width = (n + 2 * outside for n in x.shape[3:])
        block = empty_like(fresh, [before + fresh.shape[2] + after, height, width])
        block[:, :, before : before + fresh.shape[2], inside, inside] = fresh
        if carried is not None:
            block[:, :, :2] = carried
        fill(block, 4, outside, padding)
        fill(block, 3, outside, padding)
        fill(block, 2, outside, padding, (first, last))
        if not last:
            carried = block[:, :, -2:].clone()
        yield part, block


def tiles(x: Tensor, lengths: Sequence[int], halo: int = 0) -> Tensor:
    """A map (b, c, D + halo, …) as a batch of tiles, in ``channels_last``.

    A tile is `lengths` plus the halo long, which tiles share with their neighbours.
    At the far faces, tiles are filled with zeros.
    """
    pairs = list(zip(x.shape[2:], lengths))
    far = [side for n, d in reversed(pairs) for side in (0, (halo - n) % d)]
    x = F.pad(x, far)
    for axis, length in enumerate(lengths, 2):
        x = x.unfold(axis, length + halo, length)
    return x.permute(0, 2, 3, 4, 5, 6, 7, 1).flatten(0, 3).movedim(-1, 1)
