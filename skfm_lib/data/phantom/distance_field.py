"""The block of bone that solids are added to and cut from."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from skfm_lib.data.phantom.primitives import (
    FAR,
    MIRROR,
    Pebble,
    Web,
    part_distance,
    smooth_min,
)

THIN = 0.6  # voxels, least radius of a part: oblique walls stay closed
WALL = 1.5  # voxels between cavities, likewise
FINE = 2.5  # mm; coarser lattices cannot show curved plates
Box = tuple[slice, slice, slice]
Distance = Callable[[np.ndarray, float], np.ndarray]  # of points (3, n), least


@dataclass
class Clay:
    """A field of bone on a lattice; each solid is evaluated in its own box only.

    points  coordinates x, y, z of the lattice points, mm, float32 (3, D, H, W)
    spacing of the lattice, mm; no part is thinner than THIN of it in radius, so that
            walls stay closed on coarse grids
    bone    distance field of the bone; air: that of the cavities cut so far

    Solids are given for the right side; unless `midline`, the left gets the mirror
    image.
    """

    points: np.ndarray
    spacing: float
    bone: np.ndarray = field(init=False)
    air: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.least = THIN * self.spacing
        self.bone = np.full(self.points.shape[1:], FAR)
        self.air = np.full(self.points.shape[1:], FAR)
        self._ranges = _slice_ranges(self.points)

    def add(
        self, solid: Pebble | Web, blend: float = 2.0, midline: bool = False
    ) -> None:
        """Union with a solid, the crease filled with a fillet `blend` mm wide."""
        for box, d in self._distances(solid, self.least, blend, midline):
            self.bone[box] = smooth_min(self.bone[box], d, blend)

    def cut(
        self,
        solid: Pebble | Web,
        wall: float = 0.0,
        midline: bool = False,
        closed: bool = False,
    ) -> None:
        """Hollow out a solid, leaving `wall` mm (or WALL voxels) to earlier cavities.

        A closed cavity stays that far under every surface: too small, it vanishes.
        """
        wall = max(wall, WALL * self.spacing) if wall else 0.0
        for box, d in self._distances(solid, 0.1, 2.0 + wall, midline):
            if closed:
                d = np.maximum(d, self.bone[box] + np.float32(wall))
            elif wall:
                d = np.maximum(d, np.float32(wall) - self.air[box])
            self.carve(d, box)

    def carve(self, d: np.ndarray, box: Box = (slice(None),) * 3) -> None:
        """Remove the bone where the field d of a box is negative."""
        self.bone[box] = np.maximum(self.bone[box], -d)
        self.air[box] = np.minimum(self.air[box], d)

    def _distances(
        self, solid: Pebble | Web, least: float, pad: float, midline: bool
    ) -> Iterator[tuple[Box, np.ndarray]]:
        if isinstance(solid, Web):
            return self._web(solid, least, pad, midline)
        twins = (solid,) if midline else (solid, solid.mirrored())
        return self._pebbles(twins, least, pad)

    def _pebbles(
        self, pebbles: Sequence[Pebble], least: float, pad: float
    ) -> Iterator[tuple[Box, np.ndarray]]:
        grow = np.array([[-1], [1]]) * (least + pad)
        bounds = np.array([pebble.bounds() for pebble in pebbles]) + grow
        for pebble, box in zip(pebbles, self._boxes(bounds)):
            if box:
                yield box, self._evaluate(pebble.distance, box, least)

    def _web(
        self, web: Web, least: float, pad: float, midline: bool
    ) -> Iterator[tuple[Box, np.ndarray]]:
        # Parts and sides join without a fillet: shared edges would swell.
        parts = web.fine_parts if self.spacing < FINE else web.parts
        if not midline:
            parts = parts + [part * MIRROR for part in parts if part[:, 0].any()]
        boxes = self._boxes(np.array([_part_bounds(p, least + pad) for p in parts]))
        found = [(part, box) for part, box in zip(parts, boxes) if box]
        if not found:
            return
        hull = _hull([box for _, box in found])
        result = np.full([s.stop - s.start for s in hull], FAR)
        for part, box in found:
            inner = tuple(
                slice(b.start - h.start, b.stop - h.start) for b, h in zip(box, hull)
            )
            d = self._evaluate(partial(part_distance, part), box, least)
            np.minimum(result[inner], d, out=result[inner])
        yield hull, result

    def _evaluate(self, distance: Distance, box: Box, least: float) -> np.ndarray:
        p = self.points[(slice(None), *box)]
        return distance(p.reshape(3, -1), least).reshape(p.shape[1:])

    def _boxes(self, bounds: np.ndarray) -> list[Box | None]:
        """Index box of the lattice points within each pair of corners (n, 2, 3)."""
        low, high = bounds[:, 0, :, None], bounds[:, 1, :, None]
        ends = []
        for least, most in self._ranges:
            keep = ((most >= low) & (least <= high)).all(1)
            start, stop = keep.argmax(1), keep.shape[1] - keep[:, ::-1].argmax(1)
            ends.append(np.stack([start, np.where(keep.any(1), stop, start)], 1))
        return [
            tuple(slice(*end) for end in row) if all(a < b for a, b in row) else None
            for row in np.stack(ends, 1).tolist()
        ]


def _part_bounds(part: np.ndarray, pad: float) -> np.ndarray:
    reach = part[:, 3:] + np.float32(pad)
    return np.stack([(part[:, :3] - reach).min(0), (part[:, :3] + reach).max(0)])


def _slice_ranges(points: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """Least and greatest x, y, z (3, n) within every slice along each array axis."""
    low, high = points.min(3), points.max(3)
    flat = points.reshape(3, -1, points.shape[3])
    return [
        (low.min(2), high.max(2)),
        (low.min(1), high.max(1)),
        (flat.min(1), flat.max(1)),
    ]


def _hull(boxes: Sequence[Box]) -> Box:
    return tuple(
        slice(min(b[i].start for b in boxes), max(b[i].stop for b in boxes))
        for i in range(3)
    )
