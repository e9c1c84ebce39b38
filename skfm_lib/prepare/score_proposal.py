"""Propose a quality score from what a registered skull shows (paper §3.3)."""

from dataclasses import dataclass

import numpy as np

from skfm_lib.data.registration.canonical_pose import UNCERTAIN_ABOVE, Registration
from skfm_lib.data.registration.coverage import (
    JAW,
    MANDIBLE,
    NOSE,
    ORBITS,
    Coverage,
)
from skfm_lib.data.registration.shape_model import reference
from skfm_lib.data.voxels import sample_surface

# The reference's landmarks in its own skull frame, mm.
NASION, NASAL_FLOOR, VERTEX = (0.0, 89.0, 29.6), (0.0, 80.0, -20.6), (0.0, 0.0, 113.5)
FACE_X, FACE_Y = 25.0, 68.0  # mm; the strip of the face in front of the spine
SAMPLES = 40_000  # points, about 2.5 mm apart
OUTLIERS = 10  # points ignored at either end: a splinter, metal
# Lower border at the face, in nasal heights above the nasal floor: 1 is the nasion.
# Halfway between the scores' ranges in the paper's Figure 2a, as phantoms have them
# at FACE_Y, where a tilted border is lowest.
NO_NOSE, PARTIAL_NOSE, FULL_NOSE, JAWS, LOWER_JAW = 1.2, 0.63, 0.01, -0.54, -0.9
# On the same scale, the lower ends of these parts.
TEETH, LOWER_TEETH, CHIN = -0.4, -0.65, -1.25
UPPER_SKULL, CAP = 0.7, 0.88  # upper border, as a share of the height of the vertex
# Share of a part's surface that is there: phantoms' orbits ≥ 0.88 of score 3, which
# shows them whole, ≤ 0.76 of score 2; mandibles ≤ 0.01 of score 4, ≥ 0.5 of score 5.
WHOLE, LITTLE = 0.8, 0.2


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
    and 2 a complete cap, and more or less than a third of the nose.  What lies between
    these ends counts only where the reference's surface is met (`Coverage`).
    """
    points = sample_surface(registration.mesh, SAMPLES, seed=0)
    nasion, floor, vertex = landmarks(registration.shape)
    face = (np.abs(points[:, 0]) < FACE_X) & (points[:, 1] > FACE_Y)
    heights = np.sort(points[face, 2])
    low = np.inf if len(heights) <= OUTLIERS else heights[OUTLIERS]
    low = float((low - floor) / (nasion - floor))
    high = float(np.sort(points[:, 2])[-OUTLIERS] / vertex)
    reason = _description(low, registration.coverage)
    if registration.uncertainty > UNCERTAIN_ABOVE:
        reason += f"; its pose is uncertain by {registration.uncertainty:.0f} mm"
    return Proposal(_score(low, high, registration.coverage), reason)


def landmarks(b: np.ndarray) -> tuple[float, float, float]:
    """Heights of nasion, nasal floor and vertex of a skull of shape `b`, mm."""
    mean = reference()
    positions = np.array([NASION, NASAL_FLOOR, VERTEX])
    distance = np.linalg.norm(mean.points[:, None] - positions, axis=2)
    shift = np.tensordot(b, mean.modes[:, distance.argmin(axis=0), 2], 1)
    nasion, floor, vertex = (positions[:, 2] + shift).tolist()
    return nasion, floor, vertex


def _score(low: float, high: float, covered: Coverage) -> int | None:
    if low < LOWER_JAW and high < UPPER_SKULL and _there(covered, MANDIBLE):
        return 6
    if low < FULL_NOSE and _there(covered, *ORBITS, NOSE):
        return 5 if low < JAWS and _there(covered, JAW) else 4
    if low > NO_NOSE or high < CAP:
        return None
    return 3 if low < PARTIAL_NOSE and _there(covered, NOSE) else 2


def _there(covered: Coverage, *names: str) -> bool:
    """Whether half of each region in view is there."""
    return all(covered.share(name) >= 0.5 for name in names)


def _description(low: float, covered: Coverage) -> str:
    """What is shown of cap, orbits, nose, teeth and mandible."""
    cap = covered.met[reference().points[:, 2] > UPPER_SKULL * VERTEX[2]].mean()
    left, right = (_part(covered.shown(name)) for name in ORBITS)
    orbits = f"orbits {left}" if left == right else f"left orbit {left}, right {right}"
    nose = f"{100 * _there(covered, NOSE) * min(max(1 - low, 0), 1):.0f} %"
    rows = {
        "upper": low < TEETH and _there(covered, JAW),
        "lower": low < LOWER_TEETH and covered.shown(MANDIBLE) >= LITTLE,
    }
    shown = [row for row, there in rows.items() if there]
    teeth = "both rows" if len(shown) == 2 else "".join(shown) or "none"
    jaw = _part(covered.shown(MANDIBLE))
    if low > CHIN and jaw == "whole":
        jaw = "in part"  # the chin is the smallest of it
    return f"cap {_part(cap)}, {orbits}, nose {nose}, teeth {teeth}, mandible {jaw}"


def _part(share: float) -> str:
    """In words, the share of a part's surface, in view or not, that is there."""
    return "whole" if share >= WHOLE else "in part" if share >= LITTLE else "missing"
