"""Registration of meshes whose file may have y upwards."""

import contextlib
from dataclasses import replace

import numpy as np
import pyvista as pv

from skfm_lib.data.io.meshes import AXES, UPRIGHT
from skfm_lib.data.registration.canonical_pose import Registration, register
from skfm_lib.utils.errors import SkfmError

Y_UP = np.block([[UPRIGHT, np.zeros((3, 1))], [np.zeros(3), 1]])
LEAD = 0.3  # mm; see `register_any_axes`
UP_FROM_Y = 0.7  # share of a scan's y in the skull's z above which y was up


def register_any_axes(mesh: pv.PolyData) -> Registration:
    """`register`; a mesh with unknown AXES also with y up, as modelling programs save.

    In an earlier population, the right axis was nearer to the reference for all of 37
    phantoms, by up to 6 mm, and by less than LEAD for 3 of 18 caps (QS 2) only; in this
    one, the wrong axis was nearer by at most 0.01 mm for 8 phantoms (QS 2 and 4).  So y
    is taken as up if that is nearer by more than LEAD, or z is refused.

    Raises:
        SkfmError: as for `register` with z upwards, if both are refused.
    """
    if AXES not in mesh.field_data:
        return register(mesh)
    lying = mesh.transform(Y_UP, inplace=False)
    try:
        usual = register(mesh)
    except SkfmError as problem:
        with contextlib.suppress(SkfmError):
            return _turned(register(lying))
        raise problem
    with contextlib.suppress(SkfmError):
        other = _turned(register(lying))
        return other if other.distance < usual.distance - LEAD else usual
    return usual


def _turned(registration: Registration) -> Registration:
    """A registration of a mesh that Y_UP had turned, as one of the mesh itself."""
    return replace(registration, matrix=registration.matrix @ Y_UP)


def y_was_up(registration: Registration) -> bool:
    """Whether a registration turned a scan's y axis upwards."""
    return bool(registration.matrix[2, 1] > UP_FROM_Y)
