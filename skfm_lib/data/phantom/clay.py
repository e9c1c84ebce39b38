"""The block of bone that solids are added to and cut from."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from skfm_lib.data.phantom.shapes import (
    FAR,
    Coordinates,
    Pebble,
    Web,
    plate_distance,
    smooth_min,
    strut_distance,
)

Box = tuple[slice, slice, slice]
BOTH = (1, -1)  # a part of the right side, and its mirror image on the left
MIDLINE = (1,)


@dataclass
class Clay:
    """A field of bone on a lattice; each solid is evaluated in its own box only.

    x, y, z  coordinates of the lattice points, mm (3-D arrays of one shape)
    least    radius below which no part is thinned: half a voxel, so that thin walls
             stay closed on coarse grids
    bone     distance field of the bone; air: that of the cavities cut so far
    """

    x: np.ndarray
    y: np.ndarray
    z: np.ndarray
    least: float
    bone: np.ndarray = field(init=False)
    air: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.bone = np.full(self.x.shape, FAR)
        self.air = np.full(self.x.shape, FAR)
        self._ranges = [_slice_ranges(c) for c in (self.x, self.y, self.z)]

    def window(self, low: np.ndarray, high: np.ndarray) -> Box | None:
        """Index box that holds every lattice point between two corners, or None."""
        box = []
        for axis, size in enumerate(self.x.shape):
            keep = np.ones(size, bool)
            for ranges, lo, hi in zip(self._ranges, low, high):
                keep &= (ranges[axis][1] >= lo) & (ranges[axis][0] <= hi)
            found = np.flatnonzero(keep)
            if not len(found):
                return None
            box.append(slice(found[0], found[-1] + 1))
        return tuple(box)

    def at(self, box: Box, side: int = 1) -> Coordinates:
        """Coordinates inside a box; side −1 mirrors x, so left is made like right."""
        x = self.x[box]
        return (x if side == 1 else -x), self.y[box], self.z[box]

    def add(
        self, solid: Pebble | Web, blend: float = 2.0, sides: Sequence[int] = BOTH
    ) -> None:
        """Union with a solid, the crease filled with a fillet `blend` mm wide."""
        for box, d in self._distances(solid, self.least, blend, sides):
            self.bone[box] = smooth_min(self.bone[box], d, blend)

    def cut(
        self, solid: Pebble | Web, wall: float = 0.0, sides: Sequence[int] = BOTH
    ) -> None:
        """Hollow out a solid, leaving `wall` mm (or a voxel) to earlier cavities."""
        for box, d in self._distances(solid, 0.1, 2.0 + wall, sides):
            self.carve(box, d, wall)

    def carve(self, box: Box, d: np.ndarray, wall: float = 0.0) -> None:
        """Remove where the field d < 0 in a box, `wall` mm off earlier cavities."""
        if wall:
            d = np.maximum(d, max(wall, 2 * self.least) - self.air[box])
        self.bone[box] = np.maximum(self.bone[box], -d)
        self.air[box] = np.minimum(self.air[box], d)

    def _distances(
        self, solid: Pebble | Web, least: float, pad: float, sides: Sequence[int]
    ) -> Iterator[tuple[Box, np.ndarray]]:
        if isinstance(solid, Web):
            return self._web(solid, least, pad, sides)
        return self._pebble(solid, least, pad, sides)

    def _pebble(
        self, solid: Pebble, least: float, pad: float, sides: Sequence[int]
    ) -> Iterator[tuple[Box, np.ndarray]]:
        low, high = solid.bounds()
        for side, box in self._boxes(low - least - pad, high + least + pad, sides):
            yield box, solid.distance(self.at(box, side), least)

    def _web(
        self, web: Web, least: float, pad: float, sides: Sequence[int]
    ) -> Iterator[tuple[Box, np.ndarray]]:
        # Parts and sides join without a fillet: shared edges would swell.
        found = []
        for part in web.parts():
            reach = np.maximum(part[:, 3:], least) + np.float32(pad)
            low, high = (part[:, :3] - reach).min(0), (part[:, :3] + reach).max(0)
            found += [(part, *rest) for rest in self._boxes(low, high, sides)]
        if not found:
            return
        hull = _hull([box for *_, box in found])
        result = np.full([s.stop - s.start for s in hull], FAR)
        for part, side, box in found:
            distance = strut_distance if len(part) == 2 else plate_distance
            view = result[tuple(slice(b.start - h.start, b.stop - h.start)
                                for b, h in zip(box, hull))]
            np.minimum(view, distance(part, self.at(box, side), least), out=view)
        yield hull, result

    def _boxes(
        self, low: np.ndarray, high: np.ndarray, sides: Sequence[int]
    ) -> Iterator[tuple[int, Box]]:
        mirror = np.array([-1, 1, 1])
        for side in sides:
            ends = (low, high) if side == 1 else (low * mirror, high * mirror)
            box = self.window(np.minimum(*ends), np.maximum(*ends))
            if box is not None:
                yield side, box


def _slice_ranges(c: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Least and greatest coordinate in every slice along each array axis."""
    low, high = c.min(2), c.max(2)
    flat = c.reshape(-1, c.shape[2])
    return [
        (low.min(1), high.max(1)),
        (low.min(0), high.max(0)),
        (flat.min(0), flat.max(0)),
    ]


def _hull(boxes: Sequence[Box]) -> Box:
    return tuple(
        slice(min(b[i].start for b in boxes), max(b[i].stop for b in boxes))
        for i in range(3)
    )
