"""Padding by copies of the border planes, and its gradient.

Beyond a face, a volume is taken to go on as at the face.  Zeros, the usual padding,
would be the value of the surface where background is −1 and bone +1.  The gradient of
`F.pad` with ``mode="replicate"`` is not reproducible on a GPU.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.presets import Padding

SPATIAL = (2, 3, 4)


def pad_to_multiple(x: Tensor, multiple: int, value: float = 0.0) -> Tensor:
    """Padding behind the far faces, up to a multiple in D, H and W."""
    pad = [side for n in reversed(x.shape[-3:]) for side in (0, -n % multiple)]
    return F.pad(x, pad, value=value)


def replicate(x: Float[Tensor, "b c D H W"]) -> Float[Tensor, "b c d h w"]:
    """The map with one more voxel at each face: that of the border.

    >>> replicate(torch.tensor([[[[[1.0, 2.0]]]]]))[0, 0, 0, 0].tolist()
    [1.0, 1.0, 2.0, 2.0]
    """
    return _Replicate.apply(x)


class _Replicate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        out = empty_like(x, [n + 2 for n in x.shape[2:]])
        out[:, :, 1:-1, 1:-1, 1:-1] = x
        for axis in SPATIAL:
            fill(out, axis, 1, "replicate")
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        return folded(grad.clone())


def fill(
    block: Tensor, axis: int, planes: int, padding: Padding, ends: tuple = (True, True)
) -> None:
    """Fill the outermost planes of a block: zeros, or the next plane within."""
    length = block.shape[axis]
    for at, within, wanted in zip((0, length - planes), (planes, -planes - 1), ends):
        if wanted and padding == "zeros":
            block.narrow(axis, at, planes).zero_()
        elif wanted:
            plane = block.narrow(axis, within % length, 1)
            block.narrow(axis, at, planes).copy_(plane)


def folded(
    grad: Tensor, first: bool = True, last: bool = True
) -> Float[Tensor, "b c d h w"]:
    """The gradient of `replicate`; overwrites `grad` and returns a view of it.

    Of a slab along D, `first` and `last` say whether it reaches beyond the map's ends.
    """
    for axis, ends in zip(SPATIAL, ((first, last), (True, True), (True, True))):
        start, length = int(ends[0]), grad.shape[axis] - sum(ends)
        if ends[0]:
            grad.narrow(axis, 1, 1).add_(grad.narrow(axis, 0, 1))
        if ends[1]:
            end = start + length
            grad.narrow(axis, end - 1, 1).add_(grad.narrow(axis, end, 1))
        grad = grad.narrow(axis, start, length)
    return grad


def empty_like(x: Tensor, size: list[int]) -> Tensor:
    """An empty map (b, c, *size) in the layout of x."""
    layout = torch.channels_last_3d if x.stride(1) == 1 else torch.contiguous_format
    shape = [*x.shape[:2], *size]
    return torch.empty(shape, dtype=x.dtype, device=x.device, memory_format=layout)
