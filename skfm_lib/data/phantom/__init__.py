"""Procedural skulls: the embedded population of the study.

>>> skull = phantom_skull(seed=7, quality=5, shape=(57, 44, 64))

A skull is one individual (a seed's `Craniometry`) of one template anatomy, modelled as
distance fields in millimetres, and seen by a scanner whose field of view follows the
quality score.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skfm_lib.data.phantom import cranium, face, field_of_view, jaw, spine
from skfm_lib.data.phantom.craniometry import Craniometry, craniometry
from skfm_lib.data.phantom.distance_field import Clay
from skfm_lib.data.phantom.teeth import LOWER_ROW, UPPER_ROW, add_teeth
from skfm_lib.data.phantom.template import to_template, upright
from skfm_lib.data.voxels import PAPER_SHAPE, skull_grid
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError

__all__ = ["Craniometry", "craniometry", "phantom_skull"]

SLAB_POINTS = 1 << 19  # lattice points worked at a time; bounds the memory
WORKERS = 2


def phantom_skull(
    seed: int, quality: int, shape: tuple[int, int, int] = PAPER_SHAPE
) -> np.ndarray:
    """Occupancy (D, H, W) of skull `seed` at a quality score, on `skull_grid(shape)`.

    Deterministic in (seed, quality); a seed is the same individual, in the same pose,
    at every shape and quality.  Walls thinner than a voxel are kept a voxel thick.
    Raises SkfmError for a quality that is not 2–6.
    """
    if quality not in QUALITY_SCORES:
        raise SkfmError(
            f"quality {quality!r} is not a quality score",
            f"one of {', '.join(map(str, QUALITY_SCORES))}",
            "pass quality=2 … 6 (paper §3.3; QS 1 is not modelled)",
        )
    grid = skull_grid(shape)
    x, y, z = grid.axes()
    rows = max(1, min(len(y), SLAB_POINTS // (len(x) * len(z))))
    volume = np.empty(shape, bool)

    def fill(start: int) -> None:
        part = slice(start, start + rows)
        volume[part] = _slab(seed, quality, (x, y[part], z), grid.spacing)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fill, range(0, len(y), rows)))
    return volume


def _slab(seed: int, quality: int, axes: tuple, spacing: float) -> np.ndarray:
    head = upright(seed, axes)
    who = craniometry(seed)
    unseen = field_of_view.outside(seed, quality, who, head)
    bone = np.zeros(unseen.shape, bool)
    axes = ((1, 2), (0, 2), (0, 1))
    seen = [np.flatnonzero((unseen < 0).any(others)) for others in axes]
    if seen[0].size:
        box = tuple(slice(s[0], s[-1] + 1) for s in seen)
        points = to_template(seed, who, tuple(c[box] for c in head))
        clay = Clay(points, spacing)
        _model(clay, seed, who)
        if (lost := field_of_view.holes(seed, points)) is not None:
            clay.carve(lost)
        bone[box] = (clay.bone < 0) & (unseen[box] < 0)
    return bone


def _model(clay: Clay, seed: int, who: Craniometry) -> None:
    brain = cranium.add_vault(clay, who)
    cranium.add_base(clay, who)
    face.add_face(clay, who)
    cranium.cut_openings(clay, brain, who)
    face.clear_orbits(clay, who)
    cranium.add_fossae(clay, who)
    face.add_nose(clay)
    add_teeth(clay, seed, UPPER_ROW)
    jaw.add_mandible(clay, who)
    add_teeth(clay, seed, LOWER_ROW)
    spine.add_spine(clay, seed)
