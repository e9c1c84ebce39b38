"""A statistical shape model of the skull, and its fit to a scan.

Pose and shape are fitted together.  A rigid fit alone distributes the difference
between two heads over the pose: the base of a larger skull comes too low, and a partial
vault tilts to where it is roundest.  With the shape fitted too, only the pose remains.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import numpy as np
import pyvista as pv
from scipy.spatial import ConvexHull, QhullError, cKDTree
from scipy.spatial.transform import Rotation

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom.craniometry import craniometry
from skfm_lib.data.phantom.template import pose, to_template
from skfm_lib.data.registration.rigid_icp import apply, rigid_matrix
from skfm_lib.data.voxels import oriented_vertices, skull_grid
from skfm_lib.utils.array_cache import cached_arrays
from skfm_lib.utils.errors import SkfmError

FINE = (114, 88, 128)  # 2.04 mm voxels: finer than the differences between skulls
# Of the first 1000 phantoms, the one with all teeth closest to the mean measures.
AVERAGE = 879
POINTS = 8000
PEOPLE, MODES = 300, 40  # individuals sampled, and principal components kept
PACKAGES = ("numpy", "scipy", "scikit-image")  # that compute the reference
INVERSIONS = 5  # fixed-point iterations; each leaves about a fourth of the error

SIGMA = 2.0  # mm, standard deviation of a skull from its fitted shape
PATCHES = 120.0  # of a skull, about 3 cm wide, that differ independently
FAR = 8.0  # mm; points without a nearer partner count as if they had one there
TILT = 25.0  # degrees, standard deviation of a scan's rotation about x and y
FREE = 1e-6  # weight of the prior of rotation and shift: none
HULL_POINTS = 300  # that span a scan's convex hull


@dataclass(frozen=True)
class Reference:
    """A surface in the skull frame, and its principal modes of variation.

    Attributes:
        points, normals: (m, 3), of the mean of PEOPLE phantom individuals, mm.
        modes: (k, m, 3), displacement of each point by one standard deviation, mm.
    """

    points: np.ndarray
    normals: np.ndarray
    modes: np.ndarray

    def deformed(self, shape: np.ndarray) -> np.ndarray:
        """Points (m, 3) of a skull, `shape` (k,) standard deviations from the mean."""
        return self.points + np.tensordot(shape, self.modes, 1)

    def subset(self, count: int, modes: int) -> "Reference":
        """Its first `count` points, which are in random order, and first modes."""
        own = slice(count)
        return Reference(self.points[own], self.normals[own], self.modes[:modes, own])


@cache
def reference() -> Reference:
    """The mean phantom with the shape modes of the population.

    A phantom individual is a smooth map onto the template (`template.to_template`).
    The surface of a complete phantom, mapped to the template and back onto PEOPLE
    others, gives corresponding points; their principal components are the modes:
    size, length against breadth, height of vault and face, then smooth local shape.
    Each individual is in its own skull frame, so that a fit of the modes also finds
    that frame.  A scan's residual pose (`template.pose`) has no trace in its bone, and
    cannot be found.
    """
    data = Path(__file__).parents[1]
    code = [Path(__file__), *data.glob("*.py"), *data.glob("phantom/**/*.py")]
    return Reference(**cached_arrays("reference", _sampled_modes, code, PACKAGES))


def _sampled_modes() -> dict[str, np.ndarray]:
    """Points, normals and modes of the `reference`; takes seconds."""
    surface, normals = template_surface()
    # The same points on every individual.
    people = np.stack([from_template(seed, surface) for seed in range(PEOPLE)])
    mean = people.mean(axis=0)
    # Principal components by the Gram matrix, which is smaller than the covariance.
    flat = (people - mean).reshape(PEOPLE, -1)
    _, vectors = np.linalg.eigh(flat @ flat.T)
    scores = vectors[:, ::-1][:, :MODES] / np.sqrt(PEOPLE - 1)
    modes = (scores.T @ flat).reshape(MODES, *mean.shape)
    return {"points": mean, "normals": normals, "modes": modes}


@dataclass(frozen=True)
class Fit:
    """A pose and shape, and how well they explain a scan."""

    matrix: np.ndarray  # 4×4, scan to skull frame
    shape: np.ndarray  # (k,) of the reference's modes, standard deviations
    energy: float = np.inf  # negative log posterior, up to a constant
    distance: float = np.inf  # mean, of the scan's points from the deformed reference
    # (6, 6) of a small rotation and shift, rad and mm
    covariance: np.ndarray = field(default_factory=lambda: np.full((6, 6), np.nan))


class Scan:
    """Points (n, 3) of a scan's surface, mm, and the convex hull that they span."""

    def __init__(self, points: np.ndarray) -> None:
        self.points, self.tree = points, cKDTree(points)
        try:
            self.hull = ConvexHull(points[:HULL_POINTS]).equations
        except QhullError as reason:
            remedy = "look at it; fix the mesh"
            raise SkfmError("the surface is flat", "a skull", remedy) from reason

    def covers(self, points: np.ndarray) -> np.ndarray:
        """Which points (m, 3) lie within the hull: bone there would be in the scan."""
        return (points @ self.hull[:, :3].T + self.hull[:, 3] < 0).all(axis=1)


def fit(scan: Scan, target: Reference, start: Fit, scales: Sequence[float]) -> Fit:
    """Gauss–Newton steps from `start`, one for each of the `scales` (mm).

    Modes that `start` does not have begin at 0.  Pairs are nearest points in both
    directions: of the scan in the reference, and, for those reference points that the
    scan's hull covers, in the scan.  So bone that a scan would contain and does not
    counts against a pose (a cap fitted to a face), and bone outside of the field of
    view has no effect.  Distances d are along the reference's normals, weighted by
    ``(1 + (d/scale)²)⁻²`` (Geman and McClure 1987), under the modes' normal prior.
    """
    missing = len(target.modes) - len(start.shape)
    start = replace(start, shape=np.pad(start.shape, (0, missing)))
    for scale in scales:
        start = _step(scan, target, start, scale)
    return _with_energy(scan, target, start)


def pose_shift(scan: Scan, one: Fit, other: Fit) -> float:
    """Mean distance of the scan's points between two poses, mm."""
    gap = apply(one.matrix, scan.points) - apply(other.matrix, scan.points)
    return float(np.linalg.norm(gap, axis=1).mean())


def pose_error(scan: Scan, found: Fit) -> float:
    """Root mean square error of the scan's points by the fit's covariance, mm."""
    turns = [np.cross(axis, apply(found.matrix, scan.points)) for axis in np.eye(3)]
    shifts = [np.broadcast_to(axis, scan.points.shape) for axis in np.eye(3)]
    moves = np.stack(turns + shifts, axis=-1)
    variance = np.einsum("nci,ij,ncj->n", moves, found.covariance, moves)
    return float(np.sqrt(variance.mean()))


def _pairs(
    scan: Scan, points: np.ndarray, matrix: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scan points (n, 3) in the frame, indices (n,) of their reference points, weights.

    The pairs found from the scan come first, those found from the reference last; the
    weights of either sum to 1.
    """
    moved = apply(matrix, scan.points)
    partner = cKDTree(points).query(moved)[1]
    in_scan = apply(np.linalg.inv(matrix), points)
    covered = np.flatnonzero(scan.covers(in_scan))
    own = scan.tree.query(in_scan[covered])[1]
    weights = [np.full(n, 1 / max(n, 1)) for n in (len(moved), len(covered))]
    both = np.concatenate([partner, covered])
    return np.vstack([moved, moved[own]]), both, np.concatenate(weights)


def _step(scan: Scan, target: Reference, now: Fit, scale: float) -> Fit:
    points = target.deformed(now.shape)
    moved, partner, weights = _pairs(scan, points, now.matrix)
    gap, normals = moved - points[partner], target.normals[partner]
    # Derivatives of the distances along the normals: by rotation, shift and modes.
    modes = np.einsum("knc,nc->nk", target.modes[:, partner], normals)
    jacobian = np.hstack([np.cross(moved, normals), normals, -modes])
    # Independent errors of PATCHES patches; distant pairs are likely to be wrong.
    weights *= PATCHES / SIGMA**2 / (1 + (gap**2).sum(axis=1) / scale**2) ** 2
    # Normal equations, with the prior: modes of unit variance, any rotation and shift.
    prior = np.r_[np.full(6, FREE), np.ones(len(now.shape))]
    information = (jacobian.T * weights) @ jacobian + np.diag(prior)
    gradient = (jacobian.T * weights) @ (gap * normals).sum(axis=1)
    gradient += prior * np.r_[np.zeros(6), now.shape]
    change = -np.linalg.solve(information, gradient)
    motion = rigid_matrix(Rotation.from_rotvec(change[:3]), change[3:6])
    # Inverted before it is cut to 6×6: an uncertain shape makes the pose uncertain.
    covariance = np.linalg.inv(information)[:6, :6]
    return Fit(motion @ now.matrix, now.shape + change[6:], covariance=covariance)


def _with_energy(scan: Scan, target: Reference, found: Fit) -> Fit:
    points = target.deformed(found.shape)
    moved, partner, weights = _pairs(scan, points, found.matrix)
    gap = np.linalg.norm(moved - points[partner], axis=1)
    tilt = np.rad2deg(np.arccos(np.clip(found.matrix[2, 2], -1, 1)))
    cost = PATCHES * weights @ (np.minimum(gap, FAR) ** 2 / SIGMA**2)
    energy = (cost + (found.shape**2).sum() + (tilt / TILT) ** 2) / 2
    distance = gap[: len(scan.points)].mean()
    return replace(found, energy=float(energy), distance=float(distance))


def from_template(seed: int, template: np.ndarray) -> np.ndarray:
    """Points (n, 3) of individual `seed` at template coordinates (3, n), mm.

    In the individual's own skull frame, without the residual pose.
    """
    who, head = craniometry(seed), template
    for _ in range(INVERSIONS):
        head = head + template - to_template(seed, who, tuple(head))
    return head.T.astype(float)


@cache
def template_surface() -> tuple[np.ndarray, np.ndarray]:
    """Points of a complete skull in template coordinates, and their normals.

    Points (3, m) in random order; outward unit normals (m, 3) of the surface that the
    individual AVERAGE has when mapped to the template.
    """
    points, normals = oriented_vertices(template_mesh(), POINTS)
    return points.T, normals


@cache
def template_mesh() -> pv.PolyData:
    """The closed surface of a complete skull in template coordinates, mm."""
    # QS 5 ends above the neck, QS 6 below the vertex: together they are complete.
    parts = [phantom_skull(AVERAGE, quality, FINE) for quality in (5, 6)]
    mesh = skull_surface(np.maximum(*parts), skull_grid(FINE))
    matrix, shift = pose(AVERAGE)
    head = (mesh.points - shift) @ matrix
    mesh.points = to_template(AVERAGE, craniometry(AVERAGE), tuple(head.T)).T
    return mesh
