"""Signed distance fields of the solids that bone is modelled with, negative inside.

A `SphereMesh` (arches, rims, thin walls, vertebrae) joins spheres by struts and plates;
a `Superellipsoid` models condyles, tooth crowns and cavities.  All lengths are in mm.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from skfm_lib.data.phantom.subdivision import bspline, loop

Point = tuple[float, float, float, float]  # x, y, z, radius
FAR = np.float32(1e3)  # the distance where no bone is near
LEAST = 0.1  # mm, least radius of a superellipsoid


def smooth_min(a: np.ndarray, b: np.ndarray, blend: float) -> np.ndarray:
    """Union of two fields whose crease is filled with a fillet `blend` mm wide.

    The quadratic polynomial form ``min(a, b) - h² blend / 4`` with
    ``h = max(0, 1 - |a - b| / blend)``.
    """
    h = np.maximum(1 - np.abs(a - b) / np.float32(blend), 0)
    return np.minimum(a, b) - h * h * np.float32(blend / 4)


@dataclass(frozen=True)
class Superellipsoid:
    """``|x/a|^n + |y/b|^n + |z/c|^n = 1``, rotated about z by `yaw` degrees.

    The power n is 2 for an ellipsoid, 4 for a rounded box.
    """

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    yaw: float = 0.0
    power: int = 2

    def groups(self, midline: bool, fine: bool) -> Sequence[Sequence["Superellipsoid"]]:
        """The solid and, unless it is on the midline, its mirror image."""
        x, y, z = self.centre
        twin = replace(self, centre=(-x, y, z), yaw=-self.yaw)
        return [[self]] if midline else [[self], [twin]]

    def bounds(self, pad: float) -> np.ndarray:
        """Corners (2, 3) of a box that contains the solid with `pad` mm around it."""
        a, b, c = self.radii
        reach = np.array((a, b, c) if not self.yaw else (a + b, a + b, c))
        return self.centre + np.stack([-reach, reach]) + [[-pad], [pad]]

    def distance(self, p: np.ndarray) -> np.ndarray:
        """First-order distance (implicit value over gradient) of points (3, n).

        Radii below LEAST are raised to it.
        """
        radii = np.maximum(self.radii, LEAST)
        cos, sin = np.cos(np.deg2rad(self.yaw)), np.sin(np.deg2rad(self.yaw))
        rotation = np.array([[cos, sin, 0], [-sin, cos, 0], [0, 0, 1]])
        frame = rotation / radii[:, None]
        u = np.abs(_affine(frame, -frame @ self.centre, p))
        slope = u ** (self.power - 1)
        value = np.einsum("ij,ij->j", slope, u) + np.float32(1e-6)
        slope /= radii.astype(np.float32)[:, None]
        level = value ** np.float32(1 / self.power)
        rise = np.sqrt(np.einsum("ij,ij->j", slope, slope)) * level / value
        return (level - 1) / (rise + np.float32(1e-3))


@dataclass(frozen=True, eq=False)
class Part:
    """A strut (round cone) or a plate (triangle) of a sphere mesh."""

    corners: np.ndarray  # float32 (2 or 3, 4): x, y, z, radius of its spheres
    box: np.ndarray  # corners (2, 3) of a box that contains it
    least: float  # radius, mm
    sheet: bool  # of a mesh with plates, which parts two spaces

    def bounds(self, pad: float) -> np.ndarray:
        """Corners (2, 3) of a box that contains the part with `pad` mm around it."""
        return self.box + np.array([[-pad], [pad]], np.float32)

    def skeleton(self, p: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Distance of points (3, n) to the axis or triangle, and the radius there."""
        solid = _strut if len(self.corners) == 2 else _plate
        return solid(self.corners[:, :3], self.corners[:, 3], p)

    def distance(self, p: np.ndarray) -> np.ndarray:
        """Distance of points (3, n)."""
        reach, radius = self.skeleton(p)
        return reach - radius


def parts_of(rows: Sequence[np.ndarray], sheet: bool = False) -> list[Part]:
    """The parts of rows (2 or 3, 4) of spheres: x, y, z, radius."""
    if not rows:
        return []
    three = np.array([row[[0, 1, -1]] for row in rows], np.float32)
    centres, radii = three[..., :3], three[..., 3:]
    low, high = (centres - radii).min(1), (centres + radii).max(1)
    boxes, least = np.stack([low, high], 1), radii.min((1, 2)).tolist()
    corners = [three[i, : len(row)] for i, row in enumerate(rows)]
    return [Part(*values, sheet) for values in zip(corners, boxes, least)]


def spheres(table: str) -> dict[str, Point]:
    """Named spheres of a table ``name x y z radius, …``; ``#`` starts a comment."""
    rows = (row.split() for row in re.sub("#.*", "", table).split(","))
    return {n: (float(x), float(y), float(z), float(r)) for n, x, y, z, r in rows}


@dataclass(frozen=True)
class SphereMesh:
    """Spheres at named points, joined by struts and triangular plates.

    Attributes:
        points: x, y, z and radius of each sphere.
        plates: triples of names, as in ``"a b c, b c d"``; their edges are struts.
        struts: chains of names, likewise.
        curved: whether the plates form one surface, smoothed on fine lattices.
    """

    points: Mapping[str, Point]
    plates: str = ""
    struts: str = ""
    curved: bool = False

    def groups(self, midline: bool, fine: bool) -> Sequence[Sequence[Part]]:
        """One group: the parts and, unless `midline`, those off it mirrored."""
        given, mirrored = self.fine_parts if fine and self.curved else self.parts
        return [given] if midline else [given + mirrored]

    @cached_property
    def parts(self) -> tuple[list[Part], list[Part]]:
        """Each edge once, and each plate; and the mirror images of those."""
        return self._parts(fine=False)

    @cached_property
    def fine_parts(self) -> tuple[list[Part], list[Part]]:
        """The parts after one Loop subdivision; struts become cubic B-splines."""
        return self._parts(fine=True)

    def _parts(self, fine: bool) -> tuple[list[Part], list[Part]]:
        names = sorted(self.points)
        values = np.array([self.points[name] for name in names], float)
        plates, chains = (
            [[names.index(n) for n in row.split()] for row in text.split(",") if row]
            for text in (self.plates, self.struts)
        )
        rows: list[np.ndarray] = []
        if fine:
            curves = [bspline(values[chain]) for chain in chains]
            rows += [pair for c in curves for pair in np.stack([c[:-1], c[1:]], 1)]
            midline = values[:, 0] == 0
            values, faces = loop(values, np.array(plates))
            values[: len(names)][midline, 0] = 0  # the halves still meet
            plates, chains = faces.tolist(), []
        closed = [[*plate, plate[0]] for plate in plates]
        edges = {
            (min(edge), max(edge))  # once, whichever way it is followed
            for path in (*chains, *closed)
            for edge in zip(path, path[1:])
        }
        rows += [values[list(indices)] for indices in (*edges, *plates)]
        mirrored = [row * (-1, 1, 1, 1) for row in rows if row[:, 0].any()]
        sheet = bool(self.plates)
        return parts_of(rows, sheet), parts_of(mirrored, sheet)


def _affine(matrix: np.ndarray, offset: np.ndarray, p: np.ndarray) -> np.ndarray:
    return matrix.astype(np.float32) @ p + offset.astype(np.float32)[:, None]


def _strut(
    ends: np.ndarray, radii: np.ndarray, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    axis = ends[1] - ends[0]
    away = p - ends[0][:, None]
    t = np.clip((axis / max(axis @ axis, np.float32(1e-6))) @ away, 0, 1)
    away -= axis[:, None] * t
    reach = np.sqrt(np.einsum("ij,ij->j", away, away))
    return reach, radii[0] + t * (radii[1] - radii[0])


def _plate(
    corners: np.ndarray, radii: np.ndarray, p: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Distance over the triangle, FAR beyond it: the edges are struts."""
    a, b = (corners[1:] - corners[0]).astype(np.float64)
    # Rows of the frame give the barycentric coordinates u, v and the height.
    aa, ab, bb = a @ a + 1e-6, a @ b, b @ b + 1e-6
    normal = a[[1, 2, 0]] * b[[2, 0, 1]] - a[[2, 0, 1]] * b[[1, 2, 0]]
    area = aa * bb - ab * ab
    frame = np.stack([bb * a - ab * b, aa * b - ab * a, normal * np.sqrt(area)]) / area
    u, v, height = _affine(frame, -frame @ corners[0], p)
    reach = np.where((u >= 0) & (v >= 0) & (u + v <= 1), np.abs(height), FAR)
    return reach, radii[0] + u * (radii[1] - radii[0]) + v * (radii[2] - radii[0])
