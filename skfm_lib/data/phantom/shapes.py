"""Solids as distance fields in millimetres: negative inside, at any resolution.

Bone is modelled with two kinds of solid: a **web** (points with radii, joined by
struts and by triangular plates: arches, rims, thin walls, vertebrae) and a **pebble**
(a rotated superellipsoid: condyles, tooth crowns, cavities).  `clay.Clay` is the block
that they are added to and cut from.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

Point = tuple[float, float, float, float]  # x, y, z, radius, mm
FAR = np.float32(1e3)  # mm; "no bone near"
Coordinates = tuple[np.ndarray, np.ndarray, np.ndarray]


def smooth_min(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Union of two fields whose crease is filled with a fillet `blend` mm wide.

    The quadratic polynomial form, a correction of h²·blend/4 with
    h = max(0, 1 − |a − b| / blend); equal to min(a, b) where they differ more.
    """
    h = np.maximum(1 - np.abs(a - b) / np.float32(blend), 0)
    return np.minimum(a, b) - h * h * np.float32(blend / 4)


@dataclass(frozen=True)
class Pebble:
    """Superellipsoid |x/a|^n + |y/b|^n + |z/c|^n = 1, turned about x then z (degrees).

    power 2 is an ellipsoid, 4 a rounded box.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    pitch: float = 0.0
    yaw: float = 0.0
    power: int = 2

    def bounds(self) -> tuple[np.ndarray, np.ndarray]:
        """Corners of a box that holds it, mm."""
        centre, reach = np.array(self.centre), np.array(self.radii)
        if self.pitch or self.yaw:
            reach = np.full(3, np.linalg.norm(reach))
        return centre - reach, centre + reach

    def distance(self, p: Coordinates, least: float) -> np.ndarray:
        """First-order distance (implicit value over gradient), mm."""
        x, y, z = (c - np.float32(o) for c, o in zip(p, self.centre))
        if self.yaw:
            c, s = _cos_sin(self.yaw)
            x, y = c * x + s * y, c * y - s * x
        if self.pitch:
            c, s = _cos_sin(self.pitch)
            y, z = c * y + s * z, c * z - s * y
        radii = np.maximum(self.radii, least).astype(np.float32)
        u = [np.abs(v) / r for v, r in zip((x, y, z), radii)]
        value = sum(_power(v, self.power) for v in u) + np.float32(1e-6)
        slope = sum((_power(v, self.power - 1) / r) ** 2 for v, r in zip(u, radii))
        level = value ** np.float32(1 / self.power)
        rise = level / value * np.sqrt(slope) + np.float32(1e-3)
        return (level - 1) / rise


@dataclass(frozen=True)
class Web:
    """Struts and plates over named points: round cones and rounded triangles.

    struts  chains of point names
    plates  triples of point names; their edges are struts as well
    """

    points: dict[str, Point]
    plates: Sequence[tuple[str, str, str]] = ()
    struts: Sequence[Sequence[str]] = ()

    def parts(self) -> Iterator[np.ndarray]:
        """Each edge (2, 4) once and each plate (3, 4), as x, y, z, radius."""
        edges = {
            tuple(sorted(e))
            for chain in (*self.struts, *(t + t[:1] for t in self.plates))
            for e in zip(chain, chain[1:])
        }
        for names in (*sorted(edges), *self.plates):
            yield np.array([self.points[n] for n in names], np.float32)


def _cos_sin(degrees: float) -> tuple[np.float32, np.float32]:
    angle = np.deg2rad(degrees)
    return np.float32(np.cos(angle)), np.float32(np.sin(angle))


def _power(base: np.ndarray, exponent: int) -> np.ndarray:
    result = base
    for _ in range(exponent - 1):
        result = result * base
    return result


def strut_distance(part: np.ndarray, p: Coordinates, least: float) -> np.ndarray:
    """Distance to a round cone between two points with radii."""
    a, axis = part[0, :3], part[1, :3] - part[0, :3]
    r0, r1 = np.maximum(part[:, 3], np.float32(least))
    x, y, z = (c - o for c, o in zip(p, a))
    scale = axis / np.float32(max(axis @ axis, 1e-6))
    t = np.clip(x * scale[0] + y * scale[1] + z * scale[2], 0, 1)
    x, y, z = x - t * axis[0], y - t * axis[1], z - t * axis[2]
    return np.sqrt(x * x + y * y + z * z) - (r0 + t * (r1 - r0))


def plate_distance(part: np.ndarray, p: Coordinates, least: float) -> np.ndarray:
    """Distance to a triangle thickened by its corners' radii; FAR beyond its edges."""
    a, e1, e2 = part[0, :3], part[1, :3] - part[0, :3], part[2, :3] - part[0, :3]
    r = np.maximum(part[:, 3], np.float32(least))
    normal = np.cross(e1, e2)
    square = np.float32(max(normal @ normal, 1e-6))
    along1, along2 = np.cross(e2, normal) / square, np.cross(normal, e1) / square
    unit = normal / np.sqrt(square)
    x, y, z = (c - o for c, o in zip(p, a))
    u = x * along1[0] + y * along1[1] + z * along1[2]
    v = x * along2[0] + y * along2[1] + z * along2[2]
    height = np.abs(x * unit[0] + y * unit[1] + z * unit[2])
    thick = height - (r[0] + u * (r[1] - r[0]) + v * (r[2] - r[0]))
    return np.where((u >= 0) & (v >= 0) & (u + v <= 1), thick, FAR)
