"""Defects of the five kinds of SkullBreak, cut out of the voxels of a skull.

The kinds are those of the data set (Kodym et al. 2021, Data in Brief 35:106902); sites
and sizes are chosen here.  A defect is all bone within a ball around a point of the
vault, or three balls in a row, with smaller balls that make the edge irregular.
"""

from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skfm_lib.data.registration.coverage import CENTRE
from skfm_lib.data.voxels import Grid
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of


class Site(NamedTuple):
    """Where a defect is, as seen from the braincase's centre, and how large.

    Attributes:
        azimuth: degrees, from the right (0) towards the front (90).
        elevation: degrees above the horizontal plane.
        radius: of its ball, mm.
        sideways: mm from there to further balls on the right and on the left.
        mirrored: whether it is on the left as often as on the right.
    """

    azimuth: tuple[float, float]
    elevation: tuple[float, float]
    radius: tuple[float, float]
    sideways: float = 0.0
    mirrored: bool = True


ANYWHERE = Site((-180, 180), (10, 90), (20, 40))
SITES = {
    "bilateral": Site((80, 100), (45, 75), (26, 34), 36.0, False),
    "frontoorbital": Site((55, 68), (0, 10), (26, 34)),
    "parietotemporal": Site((-30, -5), (12, 28), (34, 46)),
    "random 1": ANYWHERE,
    "random 2": ANYWHERE,
}
EDGE = (0.3, 0.5)  # radius of the smaller balls, as a share of the large one's
MOST = 6  # smaller balls
CONE = 4.0  # degrees around a direction in which the outermost bone is looked for


def cut_defect(bone: np.ndarray, kind: str, grid: Grid, seed: int) -> np.ndarray:
    """The implant that a skull would need, bool (D, H, W): what is cut out of it.

    Args:
        bone: bool (D, H, W) in the skull frame, on `grid`.
        kind: one of SITES.

    Raises:
        SkfmError: for an unknown kind, and where the skull has no bone.
    """
    if kind not in SITES:
        raise SkfmError(f"defect {kind!r}", f"one of {', '.join(SITES)}")
    rng = np.random.default_rng(seed_of("defect", kind, seed))
    index = np.argwhere(bone)
    points = grid.to_mm(index)
    removed = np.zeros(len(points), bool)
    for centre, radius in _balls(points, SITES[kind], rng):
        removed |= ((points - centre) ** 2).sum(axis=1) < radius**2
    implant = np.zeros_like(bone)
    implant[tuple(index[removed].T)] = True
    pieces, found = ndimage.label(implant)
    if not found:
        raise SkfmError(f"no bone to cut out: {kind}", "a skull with its vault")
    return pieces == 1 + np.bincount(pieces.ravel())[1:].argmax()


def _balls(
    points: np.ndarray, site: Site, rng: np.random.Generator
) -> list[tuple[np.ndarray, float]]:
    """Centres (3,) and radii of a defect's balls, mm."""
    azimuth = np.deg2rad(rng.uniform(*site.azimuth))
    # Uniform on the sphere: by the sine of the elevation.
    height = rng.uniform(*np.sin(np.deg2rad(site.elevation)))
    radius, side = rng.uniform(*site.radius), 1.0
    if site.mirrored and rng.random() < 0.5:
        side = -1.0
    level = np.sqrt(1 - height**2)
    ahead = np.array([side * level * np.cos(azimuth), level * np.sin(azimuth), height])
    centres = [_outermost(points, ahead)]
    for shift in (-site.sideways, site.sideways) if site.sideways else ():
        beside = centres[0] + (shift, 0, 0) - CENTRE
        centres.append(_outermost(points, beside / np.linalg.norm(beside)))
    balls = [(centre, radius) for centre in centres]
    for _ in range(rng.integers(MOST + 1)):
        centre, away = centres[rng.integers(len(centres))], rng.normal(size=3)
        rim = centre + radius * away / np.linalg.norm(away)
        balls.append((rim, radius * rng.uniform(*EDGE)))
    return balls


def _outermost(points: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """The bone (3,) farthest from the braincase's centre within a CONE."""
    away = points - CENTRE
    distance = np.linalg.norm(away, axis=1)
    seen = np.flatnonzero(away @ ahead > np.cos(np.deg2rad(CONE)) * distance)
    if not len(seen):
        raise SkfmError("no bone where the defect is to be", "a skull with its vault")
    return points[seen[distance[seen].argmax()]]
