"""Propose a quality score from what a registered skull shows (paper §3.3)."""

from dataclasses import dataclass

import numpy as np

from skfm_lib.data.registration.canonical_pose import UNCERTAIN_ABOVE, Registration
from skfm_lib.data.registration.shape_model import reference
from skfm_lib.data.voxels import sample_surface

# The reference's landmarks in its own skull frame, mm.
NASION, NASAL_FLOOR, VERTEX = (0.0, 94.0, 31.0), (0.0, 86.0, -20.0), (0.0, 0.0, 118.0)
FACE_X, FACE_Y = 25.0, 72.0  # mm; the strip of the face in front of the spine
SAMPLES = 40_000  # points, about 2.5 mm apart
OUTLIERS = 10  # points ignored at either end: a splinter, metal
# Lower border at the face, in nasal heights above the nasal floor: 1 is the nasion.
# Halfway between the scores' ranges in the paper's Figure 2a, as phantoms have them.
NO_NOSE, PARTIAL_NOSE, FULL_NOSE, JAWS, MANDIBLE = 1.2, 0.67, 0.04, -0.52, -0.9
# On the same scale, the lower ends of these parts.
ORBITS, TEETH, LOWER_TEETH, CHIN = 0.3, -0.4, -0.65, -1.25
UPPER_SKULL, CAP = 0.7, 0.88  # upper border, as a share of the height of the vertex


@dataclass(frozen=True)
class Proposal:
    """A proposed score, None if the scan shows less than score 2, and the reason."""

    quality: int | None
    reason: str


def propose(registration: Registration) -> Proposal:
    """Propose the quality score of a skull in the skull frame, with the reason.

    The lower end of the scan at the face and its upper end are measured against the
    landmarks of the reference, deformed to this skull's shape.  By §3.3, score 6 shows
    the mandible but not the upper skull; 4 and 5 the complete nose, 5 also the jaws; 3
    and 2 a complete cap, and more or less than a third of the nose.
    """
    points = sample_surface(registration.mesh, SAMPLES, seed=0)
    nasion, floor, vertex = landmarks(registration.shape)
    face = (np.abs(points[:, 0]) < FACE_X) & (points[:, 1] > FACE_Y)
    heights = np.sort(points[face, 2])
    low = np.inf if len(heights) <= OUTLIERS else heights[OUTLIERS]
    low = float((low - floor) / (nasion - floor))
    high = float(np.sort(points[:, 2])[-OUTLIERS] / vertex)
    reason = _description(low, high)
    if registration.uncertainty > UNCERTAIN_ABOVE:
        reason += f"; its pose is uncertain by {registration.uncertainty:.0f} mm"
    return Proposal(_score(low, high), reason)


def landmarks(b: np.ndarray) -> tuple[float, float, float]:
    """Heights of nasion, nasal floor and vertex of a skull of shape `b`, mm."""
    mean = reference()
    positions = np.array([NASION, NASAL_FLOOR, VERTEX])
    distance = np.linalg.norm(mean.points[:, None] - positions, axis=2)
    shift = np.tensordot(b, mean.modes[:, distance.argmin(axis=0), 2], 1)
    nasion, floor, vertex = (positions[:, 2] + shift).tolist()
    return nasion, floor, vertex


def _score(low: float, high: float) -> int | None:
    if low < MANDIBLE and high < UPPER_SKULL:
        return 6
    if low < FULL_NOSE:
        return 5 if low < JAWS else 4
    if low > NO_NOSE or high < CAP:
        return None
    return 3 if low < PARTIAL_NOSE else 2


def _description(low: float, high: float) -> str:
    """What is shown of cap, orbits, nose, teeth and mandible."""
    cap = "whole" if high >= CAP else "cut" if high >= UPPER_SKULL else "missing"
    orbits = "whole" if low <= ORBITS else "cut" if low < 1 else "missing"
    nose = f"{100 * min(max(1 - low, 0), 1):.0f} %"
    teeth = "both rows" if low < LOWER_TEETH else "upper" if low < TEETH else "none"
    jaw = "whole" if low < CHIN else "cut" if low < LOWER_TEETH else "missing"
    return f"cap {cap}, orbits {orbits}, nose {nose}, teeth {teeth}, mandible {jaw}"
