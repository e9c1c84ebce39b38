"""Solids as distance fields in millimetres: negative inside, at any resolution.

Bone is modelled with two kinds of solid: a **web** (points with radii, joined by
struts and by triangular plates: arches, rims, thin walls, vertebrae) and a **pebble**
(a turned superellipsoid: condyles, tooth crowns, cavities).  `distance_field.Clay` is the block
that they are added to and cut from.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skfm_lib.data.phantom.subdivision import bspline, loop

Point = tuple[float, float, float, float]  # x, y, z, radius, mm
FAR = np.float32(1e3)  # mm; "no bone near"
MIRROR = np.array([-1, 1, 1, 1], np.float32)


def smooth_min(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Union of two fields whose crease is filled with a fillet `blend` mm wide.

    The quadratic polynomial form, a correction of h²·blend/4 with
    h = max(0, 1 − |a − b| / blend); equal to min(a, b) where they differ more.
    """
    h = np.maximum(1 - np.abs(a - b) / np.float32(blend), 0)
    return np.minimum(a, b) - h * h * np.float32(blend / 4)


@dataclass(frozen=True)
class Pebble:
    """Superellipsoid |x/a|^n + |y/b|^n + |z/c|^n = 1, turned about z (degrees).

    power 2 is an ellipsoid, 4 a rounded box.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    yaw: float = 0.0
    power: int = 2

    def mirrored(self) -> "Pebble":
        """Its image on the other side of the midline."""
        x, y, z = self.centre
        return replace(self, centre=(-x, y, z), yaw=-self.yaw)

    def bounds(self) -> np.ndarray:
        """Corners (2, 3) of a box that holds it, mm."""
        a, b, c = self.radii
        reach = np.array((a, b, c) if not self.yaw else (a + b, a + b, c))
        return self.centre + np.stack([-reach, reach])

    def distance(self, p: np.ndarray, least: float) -> np.ndarray:
        """First-order distance (implicit value over gradient) of points (3, n), mm."""
        cos, sin = np.cos(np.deg2rad(self.yaw)), np.sin(np.deg2rad(self.yaw))
        turn = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        frame = turn / np.maximum(self.radii, least)[:, None]
        u = np.abs(_affine(frame, -frame @ self.centre, p))
        slope = u ** (self.power - 1)
        value = np.einsum("ij,ij->j", slope, u) + np.float32(1e-6)
        slope /= np.maximum(self.radii, least).astype(np.float32)[:, None]
        level = value ** np.float32(1 / self.power)
        rise = np.sqrt(np.einsum("ij,ij->j", slope, slope)) * level / value
        return (level - 1) / (rise + np.float32(1e-3))


@dataclass(frozen=True)
class Web:
    """Struts and plates over named points: round cones and rounded triangles.

    struts  chains of point names
    plates  triples of point names; their edges are struts as well
    curved  whether the plates are one surface to be curved where the lattice is fine
    """

    points: dict[str, Point]
    plates: Sequence[Sequence[str]] = ()
    struts: Sequence[Sequence[str]] = ()
    curved: bool = False

    @cached_property
    def parts(self) -> list[np.ndarray]:
        """Each edge (2, 4) once and each plate (3, 4), as x, y, z, radius."""
        closed = [(*plate, plate[0]) for plate in self.plates]
        edges = {
            tuple(sorted(edge))
            for chain in (*self.struts, *closed)
            for edge in zip(chain, chain[1:])
        }
        return [
            np.array([self.points[name] for name in names], np.float32)
            for names in (*sorted(edges), *self.plates)
        ]

    @cached_property
    def fine_parts(self) -> list[np.ndarray]:
        """The parts after one Loop subdivision, chains as cubic B-splines alike."""
        if not self.curved:
            return self.parts
        names = sorted({name for plate in self.plates for name in plate})
        corners = np.array([self.points[name] for name in names])
        faces = np.array([[names.index(n) for n in plate] for plate in self.plates])
        vertices, fine = loop(corners, faces)
        vertices[: len(names)][corners[:, 0] == 0, 0] = 0  # the halves meet
        parts = Web(dict(enumerate(map(tuple, vertices))), fine.tolist()).parts
        for chain in self.struts:
            curve = bspline(np.array([self.points[name] for name in chain]))
            parts += list(np.stack([curve[:-1], curve[1:]], 1).astype(np.float32))
        return parts


def part_distance(part: np.ndarray, p: np.ndarray, least: float) -> np.ndarray:
    """Distance of points (3, n) to a strut (2, 4) or a plate (3, 4) of a web, mm."""
    radii = np.maximum(part[:, 3], np.float32(least))
    solid = _strut if len(part) == 2 else _plate
    return solid(part[:, :3], radii, p)


def _affine(matrix: np.ndarray, offset: np.ndarray, p: np.ndarray) -> np.ndarray:
    return matrix.astype(np.float32) @ p + offset.astype(np.float32)[:, None]


def _strut(ends: np.ndarray, radii: np.ndarray, p: np.ndarray) -> np.ndarray:
    axis = ends[1] - ends[0]
    away = p - ends[0][:, None]
    t = np.clip((axis / max(axis @ axis, np.float32(1e-6))) @ away, 0, 1)
    away -= axis[:, None] * t
    reach = np.sqrt(np.einsum("ij,ij->j", away, away))
    return reach - (radii[0] + t * (radii[1] - radii[0]))


def _plate(corners: np.ndarray, radii: np.ndarray, p: np.ndarray) -> np.ndarray:
    """Over the triangle only; its edges are struts."""
    sides = (corners[1:] - corners[0]).astype(np.float64)
    across = sides @ sides.T
    frame = np.linalg.solve(across + 1e-6 * np.eye(2), sides)
    a, b = sides
    normal = np.roll(a, -1) * np.roll(b, -2) - np.roll(a, -2) * np.roll(b, -1)
    frame = np.vstack([frame, normal / (np.linalg.norm(normal) + 1e-6)])
    u, v, height = _affine(frame, -frame @ corners[0], p)
    thick = np.abs(height)
    thick -= radii[0] + u * (radii[1] - radii[0]) + v * (radii[2] - radii[0])
    return np.where((u >= 0) & (v >= 0) & (u + v <= 1), thick, FAR)
