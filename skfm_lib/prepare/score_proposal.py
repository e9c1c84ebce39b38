"""A quality score proposed from what a placed skull shows (paper §3.3)."""

from dataclasses import dataclass

import numpy as np

from skfm_lib.data.registration.canonical_pose import UNCERTAIN_ABOVE, Registration
from skfm_lib.data.registration.shape_model import reference
from skfm_lib.data.voxels import sample_surface

# The reference's landmarks in its own skull frame, mm.
NASION, NASAL_FLOOR, VERTEX = (0.0, 94.0, 31.0), (0.0, 86.0, -20.0), (0.0, 0.0, 118.0)
FACE_X, FACE_Y = 25.0, 72.0  # mm; the strip of the face before the spine
STREWN = 40_000  # points, about 2.5 mm apart
STRAY = 10  # points at an end that show nothing: a splinter, metal
# Lower border at the face, in nasal heights above the nasal floor: 1 is the nasion.
# Halfway between the scores' ranges in the paper's Figure 2a, as phantoms have them.
BARE, LITTLE_NOSE, WHOLE_NOSE, JAWS, MANDIBLE = 1.2, 0.67, 0.04, -0.52, -0.9
# On the same scale, where these end below.
ORBITS, TEETH, LOWER_TEETH, CHIN = 0.3, -0.4, -0.65, -1.25
UPPER_SKULL, CAP = 0.7, 0.88  # upper border, as a share of the way up to the vertex


@dataclass(frozen=True)
class Proposal:
    """What a scan shows, and the score that follows; None if less than score 2 asks."""

    quality: int | None
    reason: str


def propose(registration: Registration) -> Proposal:
    """The quality score of a skull in the skull frame, with the reason in words.

    Where the scan ends below, at the face, and above is told from its points against
    the landmarks of the reference in this skull's own shape.  By §3.3, score 6 shows
    the mandible and no upper skull; 4 and 5 the whole nose, 5 the jaws beyond it; 3
    and 2 a complete cap, and more or less than a third of the nose.
    """
    points = sample_surface(registration.mesh, STREWN, seed=0)
    nasion, floor, vertex = landmarks(registration.shape)
    strip = (np.abs(points[:, 0]) < FACE_X) & (points[:, 1] > FACE_Y)
    heights = np.sort(points[strip, 2])
    low = np.inf if len(heights) <= STRAY else heights[STRAY]
    low = float((low - floor) / (nasion - floor))
    high = float(np.sort(points[:, 2])[-STRAY] / vertex)
    reason = _words(low, high)
    if registration.uncertainty > UNCERTAIN_ABOVE:
        reason += f"; its place is uncertain by {registration.uncertainty:.0f} mm"
    return Proposal(_score(low, high), reason)


def landmarks(b: np.ndarray) -> tuple[float, float, float]:
    """Heights of nasion, nasal floor and vertex in a skull of shape b, mm."""
    whole = reference()
    places = np.array([NASION, NASAL_FLOOR, VERTEX])
    away = np.linalg.norm(whole.points[:, None] - places, axis=2)
    shift = np.tensordot(b, whole.modes[:, away.argmin(axis=0), 2], 1)
    return tuple((places[:, 2] + shift).tolist())


def _score(low: float, high: float) -> int | None:
    if low < MANDIBLE and high < UPPER_SKULL:
        return 6
    if low < WHOLE_NOSE:
        return 5 if low < JAWS else 4
    if low > BARE or high < CAP:
        return None
    return 3 if low < LITTLE_NOSE else 2


def _words(low: float, high: float) -> str:
    """What is shown of cap, orbits, nose, teeth and mandible."""
    cap = "whole" if high >= CAP else "cut" if high >= UPPER_SKULL else "missing"
    orbits = "whole" if low <= ORBITS else "cut" if low < 1 else "missing"
    nose = f"{100 * min(max(1 - low, 0), 1):.0f} %"
    teeth = "both rows" if low < LOWER_TEETH else "upper" if low < TEETH else "none"
    jaw = "whole" if low < CHIN else "cut" if low < LOWER_TEETH else "missing"
    return f"cap {cap}, orbits {orbits}, nose {nose}, teeth {teeth}, mandible {jaw}"
