"""A scan laid upon the reference: the most probable pose and shape, together.

A rigid fit shares out the difference between two heads: a larger skull's base comes
too low, and a vault alone nods to where it is roundest.  With the shape fitted too,
what is left is pose.
"""

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial import ConvexHull, cKDTree
from scipy.spatial.transform import Rotation

from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.data.registration.shape_model import Reference

SIGMA = 2.0  # mm that a skull of the fitted shape lies from another
PATCHES = 120.0  # of skull, about 3 cm wide, that differ independently
FAR = 8.0  # mm; points without a nearer partner count as if they had one there
TILT = 25.0  # degrees, standard deviation of a scan's nodding and leaning
FREE = 1e-6  # weight of the prior of turn and shift: none
WALL_POINTS = 300  # that span a scan's hull


@dataclass(frozen=True)
class Laid:
    """A pose and shape, and how well they explain a scan.

    matrix    4×4, scan to skull frame
    b         (k,) of the reference's modes, standard deviations
    energy    negative log posterior, up to a constant
    distance  of the scan's points from the shaped reference, mean, mm
    spread    (6, 6) covariance of a small turn and shift, rad and mm
    """

    matrix: np.ndarray
    b: np.ndarray
    energy: float = np.inf
    distance: float = np.inf
    spread: np.ndarray | None = None


class Scan:
    """Points (n, 3) of a scan's surface, mm, and what of space it shows."""

    def __init__(self, points: np.ndarray) -> None:
        self.points, self.tree = points, cKDTree(points)
        self.walls = ConvexHull(points[:WALL_POINTS]).equations

    def shows(self, points: np.ndarray) -> np.ndarray:
        """Which points (m, 3) lie within its hull: bone there would be in the scan."""
        return (points @ self.walls[:, :3].T + self.walls[:, 3] < 0).all(axis=1)


@dataclass(frozen=True)
class _Pairs:
    """Scan points in the frame, and the numbers of the reference points they meet.

    back  how many were found from the reference; they come last
    """

    moved: np.ndarray
    partner: np.ndarray
    back: int

    def mean(self, values: np.ndarray) -> tuple[float, float]:
        """Mean over the pairs found from the scan, and over those found back."""
        there = len(values) - self.back
        return values[:there].mean(), values[there:].sum() / max(self.back, 1)

    @property
    def share(self) -> np.ndarray:
        """Weight of each pair, so that both ways count as PATCHES patches."""
        ways = len(self.moved) - self.back, self.back
        share = np.concatenate([np.full(n, 1 / max(n, 1)) for n in ways])
        return share * PATCHES / SIGMA**2


def lay(scan: Scan, target: Reference, start: Laid, reaches: list[float]) -> Laid:
    """Gauss–Newton steps from `start`, one for each of the reaches, mm.

    Pairs are nearest points both ways: the scan's to the reference, and to the scan
    those of the reference that the scan's hull holds.  So bone that a scan would show
    and does not counts against a pose (a cap laid over a face), and bone outside of
    the field of view pulls at nothing.  Distances d are along the reference's normals,
    weighted by (1 + (d/reach)²)⁻² (Geman and McClure 1987), under the normal prior of
    the modes.
    """
    for reach in reaches:
        start = _step(scan, target, start, reach)
    return _judged(scan, target, start)


def mean_shift(scan: Scan, one: Laid, other: Laid) -> float:
    """Mean distance of the scan's points between two poses, mm."""
    gap = apply(one.matrix, scan.points) - apply(other.matrix, scan.points)
    return float(np.linalg.norm(gap, axis=1).mean())


def uncertainty(scan: Scan, laid: Laid) -> float:
    """Root mean square error of the scan's points that `spread` tells, mm."""
    turns = [np.cross(axis, apply(laid.matrix, scan.points)) for axis in np.eye(3)]
    shifts = [np.broadcast_to(axis, scan.points.shape) for axis in np.eye(3)]
    moves = np.stack(turns + shifts, axis=-1)
    return float(np.sqrt(np.einsum("nci,ij,ncj->n", moves, laid.spread, moves).mean()))


def _pairs(scan: Scan, points: np.ndarray, matrix: np.ndarray) -> _Pairs:
    moved = apply(matrix, scan.points)
    partner = cKDTree(points).query(moved)[1]
    home = apply(np.linalg.inv(matrix), points)
    shown = np.flatnonzero(scan.shows(home))
    own = scan.tree.query(home[shown])[1]
    both = np.concatenate([partner, shown])
    return _Pairs(np.vstack([moved, moved[own]]), both, len(shown))


def _step(scan: Scan, target: Reference, laid: Laid, reach: float) -> Laid:
    points = target.shaped(laid.b)
    pairs = _pairs(scan, points, laid.matrix)
    gap, normals = pairs.moved - points[pairs.partner], target.normals[pairs.partner]
    modes = np.einsum("knc,nc->nk", target.modes[:, pairs.partner], normals)
    rows = np.hstack([np.cross(pairs.moved, normals), normals, -modes])
    weight = pairs.share / (1 + (gap**2).sum(axis=1) / reach**2) ** 2
    prior = np.r_[np.full(6, FREE), np.ones(len(laid.b))]
    information = (rows.T * weight) @ rows + np.diag(prior)
    slope = (rows.T * weight) @ (gap * normals).sum(axis=1)
    slope += prior * np.r_[np.zeros(6), laid.b]
    change = -np.linalg.solve(information, slope)
    motion = np.eye(4)
    motion[:3, :3] = Rotation.from_rotvec(change[:3]).as_matrix()
    motion[:3, 3] = change[3:6]
    spread = np.linalg.inv(information)[:6, :6]
    return Laid(motion @ laid.matrix, laid.b + change[6:], spread=spread)


def _judged(scan: Scan, target: Reference, laid: Laid) -> Laid:
    points = target.shaped(laid.b)
    pairs = _pairs(scan, points, laid.matrix)
    gap = np.linalg.norm(pairs.moved - points[pairs.partner], axis=1)
    tilt = np.rad2deg(np.arccos(np.clip(laid.matrix[2, 2], -1, 1)))
    cost = PATCHES * sum(pairs.mean(np.minimum(gap, FAR) ** 2 / SIGMA**2))
    energy = (cost + (laid.b**2).sum() + (tilt / TILT) ** 2) / 2
    return replace(laid, energy=float(energy), distance=float(pairs.mean(gap)[0]))
