"""The distance field of the bone, which solids are added to and cut from."""

from collections.abc import Iterator

import numpy as np

from skfm_lib.data.phantom.primitives import (
    FAR,
    SphereMesh,
    Superellipsoid,
    smooth_min,
)

THIN = 0.6  # voxels, least radius of a part: oblique walls stay closed
WALL = 1.5  # voxels, least wall between cavities
FINE = 2.5  # mm; coarser lattices cannot resolve curved plates
Box = tuple[slice, ...]
Solid = SphereMesh | Superellipsoid


class BoneField:
    """Signed distance field of bone on a lattice, in mm, negative inside.

    Solids are given for the right side; unless `midline`, their mirror image is added
    or cut as well.  Each is evaluated in its own bounding box only.

    Args:
        points: coordinates x, y, z of the lattice points, float32 (3, D, H, W), mm.
        spacing: of the lattice, mm; radii are at least THIN of it.

    Attributes:
        bone: the field (D, H, W) of the bone.
        cavities: the field of all that was cut.
    """

    def __init__(self, points: np.ndarray, spacing: float) -> None:
        self.points, self.spacing = points, spacing
        self.bone = np.full(points.shape[1:], FAR)
        self.cavities = self.bone.copy()
        # Least and greatest x, y, z (3, n) in every slice along each array axis.
        others = ((2, 3), (1, 3), (1, 2))
        self._ranges = [(points.min(axes), points.max(axes)) for axes in others]

    def add(self, solid: Solid, blend: float = 2.0, midline: bool = False) -> None:
        """Union with a solid, the crease filled with a fillet `blend` mm wide."""
        for box, d in self._distances(solid, THIN * self.spacing, blend, midline):
            self.bone[box] = smooth_min(self.bone[box], d, blend)

    def cut(
        self,
        solid: Solid,
        wall: float = 0.0,
        midline: bool = False,
        closed: bool = False,
    ) -> None:
        """Remove a solid but for `wall` mm (at least WALL voxels) to earlier cavities.

        A closed cavity keeps that distance from every surface, and vanishes where it
        is too small.
        """
        wall = max(wall, WALL * self.spacing) if wall else 0.0
        for box, d in self._distances(solid, 0.1, 2.0 + wall, midline):
            if closed:
                d = np.maximum(d, self.bone[box] + np.float32(wall))
            elif wall:
                d = np.maximum(d, np.float32(wall) - self.cavities[box])
            self.carve(d, box)

    def carve(self, d: np.ndarray, box: Box = (slice(None),) * 3) -> None:
        """Remove the bone of a box where the field `d` is negative."""
        self.bone[box] = np.maximum(self.bone[box], -d)
        self.cavities[box] = np.minimum(self.cavities[box], d)

    def _distances(
        self, solid: Solid, least: float, pad: float, midline: bool
    ) -> Iterator[tuple[Box, np.ndarray]]:
        """Box and distance field of each group of parts.

        The parts of a group join without a fillet: their common edges would swell.
        """
        for group in solid.groups(midline, self.spacing < FINE):
            boxes = self._boxes(np.array([part.bounds(least + pad) for part in group]))
            near = np.flatnonzero((boxes[:, 0] < boxes[:, 1]).all(axis=1))
            if not near.size:
                continue
            low, high = boxes[near, 0].min(axis=0), boxes[near, 1].max(axis=0)
            field = np.full(high - low, FAR)
            for i in near:
                p = self.points[(slice(None),) + _slices(*boxes[i])]
                d = group[i].distance(p.reshape(3, -1), least).reshape(p.shape[1:])
                inner = field[_slices(*(boxes[i] - low))]
                np.minimum(inner, d, out=inner)
            yield _slices(low, high), field

    def _boxes(self, bounds: np.ndarray) -> np.ndarray:
        """First and last + 1 index (n, 2, 3) of lattice points in boxes (n, 2, 3)."""
        low, high = bounds[:, 0, :, None], bounds[:, 1, :, None]
        ends = []
        for least, greatest in self._ranges:
            meets = ((greatest >= low) & (least <= high)).all(axis=1)
            start, stop = meets.argmax(1), meets.shape[1] - meets[:, ::-1].argmax(1)
            ends.append([start, np.where(meets.any(axis=1), stop, start)])
        return np.array(ends).transpose(2, 1, 0)


def _slices(start: np.ndarray, stop: np.ndarray) -> Box:
    return tuple(map(slice, start.tolist(), stop.tolist()))
