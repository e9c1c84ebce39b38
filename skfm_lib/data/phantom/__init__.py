"""Procedural skulls: the phantom population of the study.

A skull is an individual (the `Craniometry` of a seed) of one template anatomy, modelled
as distance fields in mm, and cropped to the field of view of a quality score.
"""

from concurrent.futures import ThreadPoolExecutor

import numpy as np

from skfm_lib.data.phantom import cranium, face, field_of_view, jaw, spine
from skfm_lib.data.phantom.craniometry import Craniometry, craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.teeth import LOWER_ARCH, UPPER_ARCH, add_teeth
from skfm_lib.data.phantom.template import Coordinates, to_template, upright
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.presets.grid_sizes import PAPER_SHAPE, Shape
from skfm_lib.utils.errors import SkfmError

__all__ = ["phantom_skull"]

SLAB_POINTS = 1 << 19  # lattice points modelled at a time; bounds the memory
WORKERS = 2


def phantom_skull(seed: int, quality: int, shape: Shape = PAPER_SHAPE) -> np.ndarray:
    """Occupancy (D, H, W) of individual `seed` on ``skull_grid(shape)``.

    The quality score, 2–6, states how much of the skull the scan shows (paper §3.3).
    Deterministic in (seed, quality); a seed is the same individual in the same pose
    at every shape and quality.  Walls thinner than a voxel are a voxel thick.

    Raises:
        SkfmError: if `quality` is not a quality score.

    >>> skull = phantom_skull(seed=7, quality=5, shape=(57, 44, 64))
    >>> skull.shape, skull.dtype
    ((57, 44, 64), dtype('bool'))
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


def _slab(seed: int, quality: int, axes: Coordinates, spacing: float) -> np.ndarray:
    """Occupancy of some slices; only the box that was scanned is modelled."""
    head, measures = upright(seed, axes), craniometry(seed)
    outside = field_of_view.outside(seed, quality, measures, head)
    bone = np.zeros(outside.shape, bool)
    scanned = outside < 0
    if scanned.any():
        ranges = [np.flatnonzero(scanned.any(a)) for a in ((1, 2), (0, 2), (0, 1))]
        box = tuple(slice(indices[0], indices[-1] + 1) for indices in ranges)
        points = to_template(seed, measures, tuple(c[box] for c in head))
        field = BoneField(points, spacing)
        _model(field, seed, measures)
        if (lost := field_of_view.holes(seed, points)) is not None:
            field.carve(lost)
        bone[box] = (field.bone < 0) & scanned[box]
    return bone


def _model(field: BoneField, seed: int, measures: Craniometry) -> None:
    """Add and cut all bones; later ones blend with, and are cut from, earlier ones."""
    brain = cranium.add_vault(field, measures)
    cranium.add_base(field, measures)
    face.add_face(field, measures)
    cranium.cut_openings(field, brain, measures)
    face.clear_orbits(field, measures)
    cranium.add_fossae(field, measures)
    face.add_nose(field)
    add_teeth(field, seed, UPPER_ARCH)
    jaw.add_mandible(field, measures)
    add_teeth(field, seed, LOWER_ARCH)
    spine.add_spine(field, seed)
