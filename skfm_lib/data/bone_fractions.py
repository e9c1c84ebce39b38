"""How coarse grids hold thin bone: the fraction of bone in a voxel.

At 2 or 4 mm most walls of a skull are thinner than a voxel, and one bit a voxel shows
them as a sieve.  Grids coarser than FINEST therefore hold the fraction f of bone, as
bytes (f = byte / 255); finer ones hold bits.  Networks see v, piecewise linear in f,
so that on every grid bone is v > 0 and the skull's surface lies at v = 0.
"""

from typing import Any, TypeVar

import numpy as np
import pyvista as pv
from scipy import ndimage

from skfm_lib.data.voxels import FULL_BYTE, Grid, surface

Volume = TypeVar("Volume", bound=Any)  # an array, or a tensor (torch is slow to import)

FINEST = 1.1  # mm; grids of at most this spacing hold bits
# Bone is f > LEVEL; of the candidates of `evaluation.thin_bone`, the highest level at
# which the vaults of the development heads have at most 1 cm² more holes than at full
# size; at 4 mm, 0.4 has 3.8 cm² more.
LEVEL = 1 / 3
ABOVE = float(1 - np.float32(LEVEL))  # rounded so that v is 1 at f = 1
FLOOR = 0.6  # least f of a block of which bone divides the empty space
MARGIN = 2  # fine voxels around a block within which it is looked whether it does
# Fine voxels of an empty part that counts: with 10, one vault has 1.1 cm² more holes at
# 4 mm; with 4, one head has 5.2 % more bone.
SMALLEST = 6
BLOCKS = 1 << 13  # that are labelled at a time


def as_fraction(volume: Volume) -> Volume:
    """The fraction of bone, float32, of bits, bytes or fractions: array or tensor."""
    is_array = isinstance(volume, np.ndarray)
    fractions: Any = volume.astype(np.float32) if is_array else volume.float()
    return fractions / FULL_BYTE if str(volume.dtype).endswith("uint8") else fractions


def network_values(volume: Volume) -> Volume:
    """v in [−1, 1] of a skull's bits, bytes or fractions: 0 at LEVEL, float32.

    >>> network_values(np.array([0.0, 1 / 6, 2 / 3, 1.0])).round(3).tolist()
    [-1.0, -0.5, 0.5, 1.0]
    """
    fractions: Any = as_fraction(volume)
    if _is_bits(volume):
        return 2 * fractions - 1
    above = fractions - LEVEL
    return above.clip(max=0) / LEVEL + above.clip(min=0) / ABOVE


def as_values(volume: Volume) -> Volume:
    """v of a skull's bits or bytes; real numbers are v already."""
    return volume if "float" in str(volume.dtype) else network_values(volume)


def from_network(v: Volume) -> Volume:
    """The fraction f of bone of v in [−1, 1]: the inverse of `network_values`."""
    below, above = v.clip(-1, 0), v.clip(0, 1)
    return below * LEVEL + LEVEL + above * (1 - LEVEL)


def is_bone(volume: Volume) -> Volume:
    """Bone, bool, of bits, bytes or fractions: f > LEVEL."""
    return volume if _is_bits(volume) else as_fraction(volume) > LEVEL


def as_bytes(fractions: np.ndarray) -> np.ndarray:
    """Fractions as stored on coarse grids, uint8, rounded."""
    return np.rint(FULL_BYTE * fractions).astype(np.uint8)


def stored(v: np.ndarray, grid: Grid) -> np.ndarray:
    """A network's volume v as its grid holds it: bytes, or bits if it is fine."""
    return v > 0 if grid.spacing <= FINEST else as_bytes(from_network(v))


def surface_field(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """A field that is 0 at the skull's surface, of bits, bytes or v (D, H, W).

    Of fractions, and of v that stands for them, it is linear in the fraction: linear in
    v, walls of one voxel would have twice as many holes.  Of bits, it lies half-way.
    """
    v = as_values(volume)
    bits = _is_bits(volume) or grid.spacing <= FINEST
    return v if bits else from_network(v) - np.float32(LEVEL)


def skull_surface(volume: np.ndarray, grid: Grid) -> pv.PolyData:
    """The closed surface, RAS mm, of a skull's bits, bytes or v.

    SkfmError if there is no bone.
    """
    return surface(surface_field(volume, grid), grid, 0.0)


def block_fractions(fine: np.ndarray, factor: int, floor: float = FLOOR) -> np.ndarray:
    """The fraction of bone, float32, in blocks of ``factor³`` voxels (D, H, W) bool.

    It is the share of bone, but at least `floor` in a block of which bone divides the
    empty space (with MARGIN around it) into parts of SMALLEST voxels or more: there a
    wall passes, however thin, and stays closed.  Incomplete blocks at the upper ends
    are filled up with background.
    """
    fine = np.pad(fine, [(0, -n % factor) for n in fine.shape])
    d, h, w = (n // factor for n in fine.shape)
    blocks = fine.reshape(d, factor, h, factor, w, factor)
    share = blocks.mean((1, 3, 5), dtype=np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(fine, MARGIN, mode="edge"), (factor + 2 * MARGIN,) * 3
    )
    index = np.argwhere((share > 0) & (share < floor))
    for start in range(0, len(index), BLOCKS):
        part = index[start : start + BLOCKS]
        i, j, k = part.T * factor
        share[tuple(part[_divided(~windows[i, j, k])].T)] = floor
    return share


def _divided(empty: np.ndarray) -> np.ndarray:
    """Whether the empty space of each block (n, e, e, e) is in several large parts."""
    count, edge = empty.shape[:2]
    apart = np.pad(empty, ((0, 0), (0, 1), (0, 0), (0, 0)))  # a wall between blocks
    labels, _ = ndimage.label(apart.reshape(-1, edge, edge))
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large = labels.reshape(count, -1).max(1)  # labels ascend: the last of every block
    parts = np.searchsorted(large, np.flatnonzero(sizes >= SMALLEST))
    return np.bincount(parts, minlength=count) >= 2


def _is_bits(volume: Any) -> bool:
    return str(volume.dtype).endswith("bool")
