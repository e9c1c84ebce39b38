"""Into the skull frame: a scan's surface laid onto a reference phantom."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
import pyvista as pv
from scipy.spatial import QhullError
from scipy.spatial.transform import Rotation

from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.registration.shape_fit import (
    Laid,
    Scan,
    lay,
    mean_shift,
    uncertainty,
)
from skfm_lib.data.registration.shape_model import MODES, reference
from skfm_lib.utils.errors import SkfmError

MIDDLE_Y = 8.0  # mm, halfway between glabella (98) and occiput (−82)
ANGLES = (-30.0, 0.0, 30.0)  # degrees about each axis to start from
LIFT = 40.0  # mm, at most, between heights to start from
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # a mesh saved in LPS, as 3D Slicer does
# Points of the scan and of the reference, and a reach (mm) for every step.
SKETCH = 200, 800, (25, 21, 17, 15, 15)
DRAFT = 800, 3000, (15, 12, 10, 10, 8, 8, 8, 8)
FINAL = 2500, 8000, (8, 8, 8, 8, 6, 6, 6, 6, 6, 6)
DRAFTS, FINALISTS = 10, 3  # poses that go on to the next stage
APART = 15.0, 5.0  # mm between them
POOR_FIT = 5.0  # mm; see `place`
SURE = 2.2  # mm of doubt, which one of 80 phantoms passed, and every bare cap put wrong


@dataclass(frozen=True)
class Placement:
    """A skull in the skull frame.

    mesh      RAS mm in the skull frame
    matrix    the rigid 4×4 that took it there
    distance  mean distance from the reference in the skull's own shape, mm
    doubt     expected error of the pose, mm: see `place`
    b         the shape: standard deviations of the reference's modes
    """

    mesh: pv.PolyData
    matrix: np.ndarray
    distance: float
    doubt: float
    b: np.ndarray


def place(mesh: pv.PolyData) -> Placement:
    """Lay a skull upon the reference, instead of the paper's alignment by experts.

    Pose is removed, size is kept.  Starts have ANGLES about each axis, with and without
    a half turn about z (LPS meshes), at heights from the reference's bottom to its top
    (a scan may lack either).  The best fits of a few points go on to more points and,
    with the shape fitted too (see `shape_fit.lay`), to all.

    The doubt is the root mean square error of the surface's points that the fit's
    curvature tells, and the distance to other finalists, each by its probability.

    Raises SkfmError if the surface is flat, or if it stays farther than POOR_FIT from
    the reference.
    """
    whole = reference()
    scans = _scans(mesh)
    rigid, draft = whole.thinned(SKETCH[1], 0), whole.thinned(DRAFT[1], MODES)
    laid = (lay(scans[0], rigid, s, SKETCH[2]) for s in _starts(scans[0], rigid.points))
    some = _distinct(scans[0], laid, DRAFTS, APART[0])
    some = [replace(one, b=np.zeros(MODES)) for one in some]
    some = (lay(scans[1], draft, one, DRAFT[2]) for one in some)
    some = _distinct(scans[1], some, FINALISTS, APART[1])
    some = [lay(scans[2], whole, one, FINAL[2]) for one in some]
    best = min(some, key=lambda one: one.energy)
    if best.distance > POOR_FIT:
        raise SkfmError(
            f"the surface lies {best.distance:.1f} mm from a skull after registration",
            f"a skull, roughly upright, within {POOR_FIT:g} mm",
            "look at it; mend its orientation, its unit or the bone threshold",
        )
    placed = mesh.transform(best.matrix, inplace=False)
    doubt = _doubt(scans[2], best, some)
    return Placement(placed, best.matrix, best.distance, doubt, best.b)


def _scans(mesh: pv.PolyData) -> list[Scan]:
    """The surface as points, for the three stages."""
    try:
        points = scattered(mesh, FINAL[0])
        return [Scan(points[:count]) for count, *_ in (SKETCH, DRAFT, FINAL)]
    except (ValueError, QhullError) as reason:
        remedy = "look at it; mend the mesh"
        raise SkfmError("the surface is flat", "a skull", remedy) from reason


def scattered(mesh: pv.PolyData, count: int) -> np.ndarray:
    """Points (count, 3) strewn evenly over a surface; the same at every call."""
    corners = np.asarray(mesh.points, dtype=float)[mesh.regular_faces]
    sides = corners[:, 1:] - corners[:, :1]
    area = np.linalg.norm(np.cross(sides[:, 0], sides[:, 1]), axis=1)
    rng = np.random.default_rng(0)
    some = rng.choice(len(area), count, p=area / area.sum())
    u, v = np.sort(rng.random((2, count)), axis=0)
    along = np.stack([u, v - u], axis=1)  # uniform in the triangle
    return corners[some, 0] + np.einsum("nk,nkc->nc", along, sides[some])


def _starts(scan: Scan, target: np.ndarray) -> Iterator[Laid]:
    """Every turn, shifted to a skull's middle, between its bottom and its top."""
    for angles, half in product(product(ANGLES, repeat=3), (np.eye(4), HALF_TURN)):
        turn = np.eye(4)
        turn[:3, :3] = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
        turn = turn @ half
        low, high = (f(apply(turn, scan.points), axis=0) for f in (np.min, np.max))
        middle = (low + high) / 2
        top, bottom = target[:, 2].max() - high[2], target[:, 2].min() - low[2]
        for rise in np.linspace(bottom, top, 2 + int(abs(top - bottom) / LIFT)):
            start = turn.copy()
            start[:3, 3] = -middle[0], MIDDLE_Y - middle[1], rise
            yield Laid(start, np.zeros(0))


def _distinct(scan: Scan, laid: Iterable[Laid], count: int, apart: float) -> list[Laid]:
    """The most probable poses, no two of them nearer than `apart`, mm."""
    best = []
    for one in sorted(laid, key=lambda one: one.energy):
        if all(mean_shift(scan, one, other) > apart for other in best):
            best.append(one)
        if len(best) == count:
            break
    return best


def _doubt(scan: Scan, best: Laid, others: list[Laid]) -> float:
    odds = np.exp([best.energy - one.energy for one in others])
    away = [mean_shift(scan, best, one) for one in others]
    return uncertainty(scan, best) + float(odds @ away / odds.sum())
