"""The distance field of the bone, which solids are added to and cut from."""

from collections.abc import Iterator, Sequence

import numpy as np

from skfm_lib.data.bone_fractions import FINEST, FLOOR
from skfm_lib.data.phantom.primitives import (
    FAR,
    Part,
    SphereMesh,
    Superellipsoid,
    smooth_min,
)

RELIEF = 0.4  # thickness of thin walls: log of the factor, per unit of thickening
THIN = 1.0  # mm, half thickness from which walls have no relief
CLOSED = 0.45  # voxels, least half thickness of a sheet in the closed field
FINE = 2.5  # mm; coarser lattices cannot resolve curved plates
Box = tuple[slice, ...]
Solid = SphereMesh | Superellipsoid


class BoneField:
    """Signed distance fields of bone on a lattice, in mm, negative inside.

    On a fine lattice there is one, in which sheets (the plates of sphere meshes)
    thinner than a voxel are two voxels wide and keep their mass (see `fraction`).  On a
    coarse one there are two: the true one, and a closed one in which sheets, and what
    cavities leave between them, are at least 2 CLOSED voxels thick.  Solids are given
    for the right side; unless `midline`, their mirror image is added or cut as well.
    Each is evaluated in its own bounding box only.

    Args:
        points: coordinates x, y, z of the lattice points, float32 (3, D, H, W), mm.
        spacing: of the lattice, mm.
        thickening: standard deviations (D, H, W) by which bone is thicker; 0 if None.
        lost: mm; thin walls that are thinner are left out.

    Attributes:
        points, spacing, thickening: the arguments.
        bone: the field (1, D, H, W), or the true and the closed one (2, D, H, W).
        cavities: the fields, likewise, of all that was cut.
        braincase, air, enamel: fields (D, H, W) of the brain, sinuses and crowns.
    """

    def __init__(
        self,
        points: np.ndarray,
        spacing: float,
        thickening: np.ndarray | None = None,
        lost: float = 0.0,
    ) -> None:
        self.points, self.spacing, self.lost = points, spacing, lost
        if thickening is None:
            thickening = np.zeros_like(points[0])
        self.thickening = thickening
        self.fine = spacing <= FINEST
        shape = points.shape[1:]
        self.bone = np.full((1 if self.fine else 2, *shape), FAR)
        self.cavities = self.bone.copy()
        self.braincase, self.air, self.enamel = np.full((3, *shape), FAR)
        self.closed = 2 * CLOSED * spacing
        # Least and greatest x, y, z (3, n) in every slice along each array axis.
        others = ((2, 3), (1, 3), (1, 2))
        self._ranges = [(points.min(axes), points.max(axes)) for axes in others]

    def add(
        self,
        solid: Solid,
        blend: float = 2.0,
        midline: bool = False,
        walls: bool = False,
        enamel: bool = False,
    ) -> None:
        """Union with a solid, the crease filled with a fillet `blend` mm wide.

        Thin `walls` have relief, and those that a scanner loses are left out.
        """
        for box, d in self._distances(solid, blend, midline, walls):
            self.bone[box] = smooth_min(self.bone[box], d, blend)
            if enamel:
                np.minimum(self.enamel[box[1:]], d[0], out=self.enamel[box[1:]])

    def cut(
        self,
        solid: Solid,
        wall: float = 0.0,
        midline: bool = False,
        closed: bool = False,
    ) -> None:
        """Remove a solid but for `wall` mm to earlier cavities.

        A closed cavity keeps that distance from every surface, and vanishes where it
        is too small.
        """
        thick = self._layers(wall, max(wall, self.closed))
        for box, d in self._distances(solid, 2.0 + float(thick.max()), midline):
            if closed:
                d = np.maximum(d, self.bone[box] + thick)
                np.minimum(self.air[box[1:]], d[0], out=self.air[box[1:]])
            elif wall:
                d = np.maximum(d, thick - self.cavities[box])
            self._remove(d, box)

    def carve(self, d: np.ndarray) -> None:
        """Remove the braincase, given by its field (D, H, W), mm.

        In the closed field, a wall to the outside remains.
        """
        self.braincase = d
        self._remove(np.maximum(d, self.bone + self._layers(-np.inf, self.closed)))

    def distance(self, solid: Solid, midline: bool = False) -> np.ndarray:
        """Distance field (D, H, W) of a solid, FAR where it is not near."""
        field = np.full(self.points.shape[1:], FAR)
        for box, d in self._distances(solid, 2.0, midline):
            np.minimum(field[box[1:]], d[0], out=field[box[1:]])
        return field

    def fraction(self, growth: np.ndarray | float = 0.0) -> np.ndarray:
        """The fraction (D, H, W) of bone; if coarse, at least FLOOR along sheets.

        `growth` is added to all bones but thin sheets, mm.
        """
        voxel = np.float32(self.spacing)
        fraction = np.clip(0.5 - (self.bone[0] - growth) / voxel, 0, 1)
        if self.fine:
            return fraction
        return np.maximum(fraction, np.clip(0.5 - 2 * self.bone[1] / voxel, 0, FLOOR))

    def _layers(self, true: float, closed: float) -> np.ndarray:
        layers = [true] if self.fine else [true, closed]
        return np.array(layers, np.float32).reshape(-1, 1, 1, 1)

    def _remove(self, d: np.ndarray, box: Box = (slice(None),)) -> None:
        """Remove the bone of a box where the field `d` is negative."""
        self.bone[box] = np.maximum(self.bone[box], -d)
        self.cavities[box] = np.minimum(self.cavities[box], d)

    def _distances(
        self, solid: Solid, pad: float, midline: bool, walls: bool = False
    ) -> Iterator[tuple[Box, np.ndarray]]:
        """Box and distance fields (1 or 2, …) of each group of parts.

        The parts of a group join without a fillet: their common edges would swell.
        """
        fine = self.spacing < FINE
        groups: Sequence[Sequence[Part | Superellipsoid]] = solid.groups(midline, fine)
        for group in groups:
            thin = [self._is_thin(part) for part in group]
            pads = [pad + self.closed / 2 if t else pad for t in thin]
            bounds = [part.bounds(extra) for part, extra in zip(group, pads)]
            boxes = self._boxes(np.array(bounds))
            near = np.flatnonzero((boxes[:, 0] < boxes[:, 1]).all(axis=1)).tolist()
            if not near:
                continue
            low, high = boxes[near, 0].min(axis=0), boxes[near, 1].max(axis=0)
            fields = len(self.bone) if any(thin[i] for i in near) else 1
            field = np.full((fields, *(high - low)), FAR)
            for i in near:
                box = _slices(*boxes[i])
                d = self._distance(group[i], box, thin[i], walls)
                inner = field[_every(_slices(*(boxes[i] - low)))]
                np.minimum(inner, d, out=inner)
            yield _every(_slices(low, high)), field

    def _is_thin(self, part: Part | Superellipsoid) -> bool:
        thin = max(THIN, self.closed / 2)
        return isinstance(part, Part) and part.sheet and part.least < thin

    def _distance(
        self, part: Part | Superellipsoid, box: Box, thin: bool, wall: bool
    ) -> np.ndarray:
        """Distances of a part in a box (1, …); true and closed (2, …) if it is thin."""
        p = self.points[_every(box)]
        shape = p.shape[1:]
        p = p.reshape(3, -1)
        if not (thin and isinstance(part, Part)):
            return part.distance(p).reshape(1, *shape)
        reach, radius = part.skeleton(p)
        if wall:
            relief = np.exp(np.float32(RELIEF) * self.thickening[box].ravel())
            radius *= 1 + np.maximum(1 - radius / THIN, 0) * (relief - 1)
            reach[radius < np.float32(self.lost / 2)] = FAR
        if self.fine:
            return self._spread(reach, radius).reshape(1, *shape)
        closed = np.maximum(radius, np.float32(self.closed / 2))
        return (reach - np.stack([radius, closed])).reshape(2, *shape)

    def _spread(self, reach: np.ndarray, radius: np.ndarray) -> np.ndarray:
        """The distances of a sheet; if it is thinner than a voxel, what gives
        ``fraction = 2 radius / spacing * (1 - reach / spacing)``.

        However it crosses the lattice, its mass is that of its thickness.
        """
        s = np.float32(self.spacing)
        thin = s / 2 - 2 * radius * np.maximum(1 - reach / s, 0)
        thin = np.maximum(thin, reach - s / 2)
        return np.where(radius < s / 2, thin, reach - radius)

    def _boxes(self, bounds: np.ndarray) -> np.ndarray:
        """First and last + 1 index (n, 2, 3) of lattice points in boxes (n, 2, 3)."""
        low, high = bounds[:, 0, :, None], bounds[:, 1, :, None]
        ends = []
        for least, greatest in self._ranges:
            meets = ((greatest >= low) & (least <= high)).all(axis=1)
            start, stop = meets.argmax(1), meets.shape[1] - meets[:, ::-1].argmax(1)
            ends.append([start, np.where(meets.any(axis=1), stop, start)])
        return np.array(ends).transpose(2, 1, 0)


def _every(box: Box) -> Box:
    """The box in every field."""
    return (slice(None), *box)


def _slices(start: np.ndarray, stop: np.ndarray) -> Box:
    return tuple(map(slice, start.tolist(), stop.tolist()))
