"""An individual's bones on a lattice."""

from typing import NamedTuple

import numpy as np

from skfm_lib.data.phantom import cranium, face, field_of_view, jaw, spine
from skfm_lib.data.phantom.craniometry import Craniometry, craniometry
from skfm_lib.data.phantom.distance_field import BoneField, Box
from skfm_lib.data.phantom.teeth import LOWER_ARCH, UPPER_ARCH, add_teeth
from skfm_lib.data.phantom.template import Coordinates, individual, upright


class Bones(NamedTuple):
    """Bones of the box that was scanned.

    Attributes:
        box: slices of the lattice.
        field: the distance fields in it.
        scanned: (d, h, w) bool, what of the box lies in the field of view.
    """

    box: Box
    field: BoneField
    scanned: np.ndarray


def bones(
    seed: int, quality: int, axes: Coordinates, spacing: float, lost: float = 0.0
) -> Bones | None:
    """The bones of individual `seed` that a scan of a quality shows; None for none.

    Args:
        axes: the x, y and z values of the lattice (y, x, z), mm.
        spacing: of the lattice, mm.
        lost: mm; thin walls that are thinner are left out.
    """
    head, measures = upright(seed, axes), craniometry(seed)
    scanned = field_of_view.outside(seed, quality, measures, head) < 0
    if not scanned.any():
        return None
    ranges = [np.flatnonzero(scanned.any(a)) for a in ((1, 2), (0, 2), (0, 1))]
    box = tuple(slice(int(i[0]), int(i[-1]) + 1) for i in ranges)
    points, thickening = individual(seed, measures, tuple(c[box] for c in head))
    field = BoneField(points, spacing, thickening, lost)
    _model(field, seed, measures)
    return Bones(box, field, scanned[box])


def _model(field: BoneField, seed: int, measures: Craniometry) -> None:
    """Add and cut all bones; later ones blend with, and are cut from, earlier ones."""
    brain = cranium.add_vault(field, measures)
    cranium.add_base(field, measures)
    face.add_face(field, measures)
    cranium.cut_openings(field, brain, measures)
    face.clear_orbits(field, measures)
    cranium.add_fossae(field, measures)
    face.add_nose(field)
    add_teeth(field, seed, measures, UPPER_ARCH)
    jaw.add_mandible(field, measures)
    add_teeth(field, seed, measures, LOWER_ARCH)
    spine.add_spine(field, seed)
