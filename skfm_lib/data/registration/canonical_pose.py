"""Registration of a scan's surface to the skull frame."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np
import pyvista as pv
from scipy.spatial.transform import Rotation

from skfm_lib.data.registration.coverage import Coverage, check_coverage, coverage
from skfm_lib.data.registration.rigid_icp import apply, rigid_matrix
from skfm_lib.data.registration.shape_model import (
    MODES,
    Fit,
    Scan,
    fit,
    pose_error,
    pose_shift,
    reference,
)
from skfm_lib.data.voxels import sample_surface
from skfm_lib.utils.errors import SkfmError

ANGLES = (-30.0, 0.0, 30.0)  # degrees about each axis of the initial poses
LIFT = 40.0  # mm, at most, between heights of the initial poses
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # of a mesh saved in LPS
POOR_FIT = 5.0  # mm; see `register`
UNCERTAIN_ABOVE = 3.0  # mm; exceeded by none of 60 phantoms, and by a mere cap


class _Level(NamedTuple):
    """Points and modes of a fit, and how many poses, how far `apart` (mm), it yields.

    `scales` (mm) has one item per step of `shape_model.fit`.
    """

    scan_points: int
    reference_points: int
    modes: int
    scales: tuple[float, ...]
    kept: int
    apart: float


# A head much larger than the mean, whose first pose is 15 mm off, moves slowly: with 8
# steps, a mask after craniotomy ended up to 10 mm off, with these 2 mm at most.
COARSE_MODES = 10  # of MODES; they hold three quarters of the variance
SLOWLY = (25,) * 4 + (20,) * 6 + (15,) * 8 + (10,) * 4 + (8,) * 4
# With 10 steps, poses of one head ended up to 5.5 mm apart, with these 1.4 mm.
FINELY = (10,) * 8 + (8,) * 14 + (6,) * 14
LEVELS = (
    _Level(200, 800, 0, (25, 21, 17, 15, 15), 10, 15.0),
    _Level(800, 3000, COARSE_MODES, SLOWLY, 3, 5.0),
    _Level(2500, 8000, MODES, FINELY, 3, 0.0),
)
POINTS = LEVELS[-1].scan_points  # of a scan's surface


@dataclass(frozen=True)
class Registration:
    """A skull in the skull frame.

    Attributes:
        mesh: RAS mm in the skull frame.
        matrix: The rigid 4×4 that moved it there.
        distance: Mean distance from the reference in the skull's own shape, mm.
        uncertainty: Expected error of the pose, mm; see `register`.
        shape: Standard deviations of the reference's modes.
        coverage: What it shows of the reference.
    """

    mesh: pv.PolyData
    matrix: np.ndarray
    distance: float
    uncertainty: float
    shape: np.ndarray
    coverage: Coverage


def register(mesh: pv.PolyData) -> Registration:
    """Register a skull to the reference, in place of the paper's alignment by experts.

    Pose is removed, size is kept.  The initial poses have ANGLES about each axis, with
    and without a half turn about z (LPS meshes), at heights from the reference's bottom
    to its top (either may be missing in a scan).  They are fitted rigidly with a few
    points; the best are refined with more points and the shape (see `shape_model.fit`).

    The uncertainty is the root mean square error of the surface's points by the fit's
    curvature, plus the mean distance to other final poses, weighted by probability.

    Raises:
        SkfmError: if the surface is flat, shows too little of a skull
            (`check_coverage`), or remains farther than POOR_FIT from the reference.
    """
    points = sample_surface(mesh, POINTS, seed=0)
    fits = find_poses(points)
    best = fits[0]
    moved = mesh.transform(best.matrix, inplace=False)
    covered = coverage(moved, best.shape)
    check_coverage(covered)
    if best.distance > POOR_FIT:
        found = (
            f"the surface lies {best.distance:.1f} mm from a skull after registration"
        )
        expected = f"a skull, roughly upright, within {POOR_FIT:g} mm"
        remedy = "look at it; fix its orientation, its unit or the bone threshold"
        raise SkfmError(found, expected, remedy)
    error = _uncertainty(Scan(points), fits)
    return Registration(moved, best.matrix, best.distance, error, best.shape, covered)


def find_poses(points: np.ndarray) -> list[Fit]:
    """The most probable poses of POINTS points (n, 3) of a skull, mm; the best first.

    Raises:
        SkfmError: if they are in a plane.
    """
    return _refined(points, _starts(points[: LEVELS[0].scan_points]), LEVELS)


def refine_pose(points: np.ndarray, matrix: np.ndarray) -> Fit:
    """`find_poses` from one initial pose, 4×4, in place of the search for it."""
    return _refined(points, [Fit(matrix, np.zeros(0))], LEVELS[1:])[0]


def _refined(
    points: np.ndarray, fits: list[Fit], levels: Sequence[_Level]
) -> list[Fit]:
    for level in levels:
        scan = Scan(points[: level.scan_points])
        target = reference().subset(level.reference_points, level.modes)
        fits = [fit(scan, target, start, level.scales) for start in fits]
        fits = _distinct(scan, fits, level)
    return fits


def _starts(points: np.ndarray) -> list[Fit]:
    """Every initial rotation, centred, at heights between the reference's ends."""
    starts, heights = [], reference().points[: LEVELS[0].reference_points, 2]
    for angles, half in product(product(ANGLES, repeat=3), (np.eye(4), HALF_TURN)):
        start = rigid_matrix(Rotation.from_euler("xyz", angles, degrees=True), 0) @ half
        turned = apply(start, points)
        low, high = turned.min(axis=0), turned.max(axis=0)
        bottom, top = heights.min() - low[2], heights.max() - high[2]
        middle = (low + high) / 2
        for rise in np.linspace(bottom, top, 2 + int(abs(top - bottom) / LIFT)):
            matrix = start.copy()
            # The origin is halfway between the glabella (90 mm) and the occiput (−90).
            matrix[:3, 3] = -middle[0], -middle[1], rise
            starts.append(Fit(matrix, np.zeros(0)))
    return starts


def _distinct(scan: Scan, fits: list[Fit], level: _Level) -> list[Fit]:
    """The most probable poses, none of them nearer to a better one than `apart`."""
    best: list[Fit] = []
    for one in sorted(fits, key=lambda one: one.energy):
        away = (pose_shift(scan, one, other) > level.apart for other in best)
        if len(best) < level.kept and all(away):
            best.append(one)
    return best


def _uncertainty(scan: Scan, fits: list[Fit]) -> float:
    odds = np.exp([fits[0].energy - one.energy for one in fits])
    away = [pose_shift(scan, fits[0], one) for one in fits]
    return pose_error(scan, fits[0]) + float(odds @ away / odds.sum())
