"""How much of a skull a registered surface shows, and whether that is enough.

A surface may lie close to the reference and be no skull: a plate lies along the
forehead, a solid head has the outer surface only.  Coverage is the converse of a fit's
distance: the share of the reference's surface, within the field of view, that is met.

The limits were chosen on phantoms of an earlier population, also with a quarter of the
vault removed (0.75 of all in view), and confirmed on phantoms (seeds 9000–9005 and
9100–9111, QS 2–6), on two heads in six poses (a plastic skull and a mask of a skull
after craniotomy) and on the objects of ``tests/helpers/no_skulls.py``.  Measured after
registration, as shares of the surface of the reference:

============================ ========= ====== =======================================
what is there                phantoms  heads  no skull
============================ ========= ====== =======================================
the whole (LEAST)            ≥ 0.36    ≥ 0.67 ≤ 0.22: plates, halves, other bones
orbits, if the scan ends     ≥ 0.36    ≥ 0.89 ≤ 0.11: caps and bowls
above the jaw (LEAST_ORBITS)
face and base in view        ≥ 0.97    ≥ 0.85 ≤ 0.57 of those with the former two
all in view (SHARE)          ≥ 0.99    ≥ 0.92 ≤ 0.76 of those with the former two
vault: inner to outer table  ≥ 0.97    1.00   ≤ 0.01: solids; hollow ones 1
============================ ========= ====== =======================================
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from itertools import product

import numpy as np
import pyvista as pv
from scipy.spatial import cKDTree

from skfm_lib.data.registration.shape_model import FINE, reference
from skfm_lib.data.voxels import skull_grid, surface, voxelise
from skfm_lib.utils.errors import SkfmError

REACH = 8.0  # mm; a point of the reference is met by bone that is nearer
TILTS = tuple(product(range(-30, 31, 5), range(-20, 21, 5)))  # degrees, about x and y
SPLINTERS = 0.002  # share of the surface that may lie below, or above, the scan's ends
SAMPLES = 5000  # points of the surface from which the ends are found
LEAST, LEAST_ORBITS = 0.25, 0.15  # of what is in view or not; see above
FACE_SHARE, SHARE, HOLLOW = 0.78, 0.6, 0.5  # of what is in view; see above
FEW = 40  # points of a region, of POINTS in all, about 5 cm²: fewer are not rated
ABSENT = 0.3  # share of a region below which an error calls it missing

INNER, OUTER = "inner table of the vault", "outer table of the vault"
VAULT = (OUTER, INNER)
ORBITS = ("left orbit", "right orbit")
NOSE, BASE, JAW, MANDIBLE = "nose", "skull base", "upper jaw", "mandible"
FACE_AND_BASE = (*ORBITS, NOSE, BASE, JAW, MANDIBLE)
# Axes of the orbits in the reference (right side): apex and opening, mm, and radii.
APEX, OPENING = np.array([15.0, 36.0, 18.0]), np.array([31.0, 88.0, 19.5])
NARROW, WIDE = 11.0, 26.0
CENTRE = np.array([0.0, 0.0, 45.0])  # of the braincase, mm


@dataclass(frozen=True)
class Coverage:
    """Which points of the reference are in the scan's field of view, and met by bone.

    Attributes:
        seen: (m,) whether a point is between the lower and the upper end of the scan.
        met: (m,) whether bone is there, too.
    """

    seen: np.ndarray
    met: np.ndarray

    def share(self, *names: str) -> float:
        """Share of the named regions' surface in view that is met; 1 if FEW are."""
        region = _union(names) & self.seen
        return float(self.met[region].mean()) if region.sum() >= FEW else 1.0

    def shown(self, *names: str) -> float:
        """Share of the named regions' surface, in view or not, that is met."""
        return float(self.met[_union(names)].mean())

    def by_region(self) -> dict[str, float]:
        """`share` of each region of which more than FEW points are in view."""
        views = {name: (region & self.seen).sum() for name, region in regions().items()}
        return {n: round(self.share(n), 2) for n, seen in views.items() if seen >= FEW}


def coverage(mesh: pv.PolyData, shape: np.ndarray) -> Coverage:
    """Coverage of a registered skull: a mesh in the skull frame, mm, and its shape.

    A point of the reference, deformed to `shape` (k,), is met if the surface passes
    within REACH and faces the same way: distances are between points and REACH/√2 times
    unit normals, so that the outer table does not stand for the inner one.  The surface
    is that of the voxelised mesh, as the skull is used later: the orientation of the
    triangles has no effect, and a mesh of the outer surface alone is a solid.

    The field of view is the slab between two parallel planes, tilted as a scan's slices
    may be, that contains the surface and least of the reference.  It is not the
    surface's hull, of which anything fills a large part.
    """
    target = reference()
    points = target.deformed(shape)
    grid = skull_grid(FINE)
    bone = voxelise(mesh, grid)
    if not bone.any():
        return Coverage(np.ones(len(points), bool), np.zeros(len(points), bool))
    found = surface(bone, grid, 0.5).compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    seen = _field_of_view(np.asarray(found.points, float), points)
    tree = cKDTree(_oriented(found.points, found.point_data["Normals"]))
    wanted = _oriented(points[seen], target.normals[seen])
    met = np.zeros_like(seen)
    met[seen] = tree.query(wanted, distance_upper_bound=REACH)[0] < REACH
    return Coverage(seen, met)


def check_coverage(found: Coverage) -> None:
    """SkfmError, with what is missing, where a surface shows too little of a skull."""
    outer, inner = found.share(OUTER), found.share(INNER)
    if found.shown(OUTER) >= ABSENT and inner < HOLLOW * outer:
        raise SkfmError(
            f"it is solid: {100 * outer:.0f} % of a vault's outer surface is there, "
            f"but {100 * inner:.0f} % of its inner surface",
            "the surface of bone around an empty braincase",
            "segment bone alone; of a mesh, export both surfaces of the bone",
        )
    ends = "between the scan's lower and upper ends"
    if (part := found.shown(*regions())) < LEAST:
        name = "a skull's surface"
    elif found.shown(NOSE, JAW) < ABSENT and (
        (part := found.shown(*ORBITS)) < LEAST_ORBITS
    ):
        name = "the orbits' surface"
    elif (part := found.share(*FACE_AND_BASE)) < FACE_SHARE:
        name = f"the surface of face and skull base {ends}"
    elif (part := found.share(*regions())) < SHARE:
        name = f"a skull's surface {ends}"
    else:
        return
    raise SkfmError(
        f"only {100 * part:.0f} % of {name} is there{_missing(found)}",
        "the vault down to the roofs of the orbits, or the face with the skull base",
        "look at it; a part of a skull or another object cannot be used; turn a skull "
        "upright, and fix its unit or the bone threshold",
    )


@cache
def regions() -> dict[str, np.ndarray]:
    """Name → points (m,) bool of the reference, in the order in which they are listed.

    The cervical spine, of which a scan may have any part, belongs to none.
    """
    points, normals = reference().points, reference().normals
    x, y, z = points.T
    taken = (y < 25) & (z < -32) & (np.abs(x) < 42)  # the spine

    def take(region: np.ndarray) -> np.ndarray:
        """The part of a region that no earlier one has."""
        nonlocal taken
        region, taken = region & ~taken, taken | region
        return region

    outward = ((points - CENTRE) * normals).sum(axis=1) > 0
    mandible = take(z < -47)
    jaw = take((z < -18) & (y > 40))
    orbits = [take(_orbit(points, normals, side)) for side in (-1, 1)]
    nose = take((np.abs(x) < 18) & (y > 50) & (z < 32))
    # Above a plane from the brow to the external occipital protuberance.
    vault = take(z > 28 + 0.26 * y)
    base = take(np.ones(len(points), bool))
    return {
        OUTER: vault & outward,
        INNER: vault & ~outward,
        **dict(zip(ORBITS, orbits)),
        NOSE: nose,
        BASE: base,
        JAW: jaw,
        MANDIBLE: mandible,
    }


def _orbit(points: np.ndarray, normals: np.ndarray, side: int) -> np.ndarray:
    """Points (m,) of an orbit's walls and rim, facing its axis; `side` is 1 or −1."""
    apex, opening = APEX * (side, 1, 1), OPENING * (side, 1, 1)
    along = opening - apex
    t = ((points - apex) @ along / (along @ along)).clip(0, 1)
    inward = apex + t[:, None] * along - points
    distance = np.linalg.norm(inward, axis=1)
    near = distance < NARROW + t * (WIDE - NARROW)
    return near & ((inward * normals).sum(axis=1) > 0.3 * distance)


def _oriented(points: np.ndarray, normals: np.ndarray) -> np.ndarray:
    """Points and scaled unit normals (n, 6): less than REACH apart if facing alike."""
    return np.hstack([points, REACH / np.sqrt(2) * normals])


def _union(names: Iterable[str]) -> np.ndarray:
    return np.any([regions()[name] for name in names], axis=0)


def _field_of_view(surface_points: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (m,) within the slab that holds the surface and fewest of the points."""
    some = np.random.default_rng(0).permutation(surface_points)[:SAMPLES]
    best = np.ones(len(points), bool)
    for tilt in TILTS:
        about_x, about_y = np.tan(np.deg2rad(tilt))
        upward = np.array([about_y, about_x, 1.0])
        low, high = np.quantile(some @ upward, (SPLINTERS, 1 - SPLINTERS))
        heights = points @ upward
        inside = (heights > low) & (heights < high)
        best = min(best, inside, key=np.count_nonzero)
    return best


def _missing(found: Coverage) -> str:
    """The regions of which hardly anything is there."""
    parts = {"vault": VAULT, **{name: (name,) for name in FACE_AND_BASE[:-1]}}
    gone = [f"no {n}" for n, own in parts.items() if found.shown(*own) < ABSENT]
    return f": {', '.join(gone)}" if gone else ""
