"""The upper cervical spine: atlas, axis with its dens, and the vertebrae below."""

import numpy as np

from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import SphereMesh, Superellipsoid, spheres

ATLAS = SphereMesh(
    spheres("""
        fore 0 10 -27 4, mass_fore 14 3 -27 5, mass 19 -6 -28 6.5, wing 36 -7 -29 4,
        arch 20 -22 -28 3.2, back 0 -36 -29 4
    """),
    struts="fore mass_fore mass wing, mass arch back",
)
AXIS = SphereMesh(
    spheres("""
        dens 0 2 -22 4, dens_low 0 2 -35 5.2, body 0 2 -45 8.5, body_low 0 2 -50 8,
        mass 16 -3 -39 6, pedicle 18 -10 -45 5, arch 14 -24 -47 3.6, back 0 -34 -49 4.4,
        spine 4 -42 -52 3.2, facet 18.5 -12 -55 4.6
    """),
    struts=(
        "dens dens_low body body_low, dens_low mass pedicle arch back spine, "
        "body mass, pedicle facet"
    ),
)
PITCH = 17.0  # mm from one vertebra to the next
# Arch and processes of a lower vertebra, relative to the middle of its body.
ARCH = spheres("""
    body_side 9 0 0 5, process 24 -4 -1 3, mass_up 19 -13 6.5 4.6,
    mass 19.5 -15 -6.5 4.6, arch 12 -25 -3 3, back 0 -31 -5 3.4, spine 2.5 -41 -9 2.8
""")
ARCH_STRUTS = """
    body_side process mass mass_up process, body_side mass, mass arch back spine,
    mass_up arch
"""


def add_spine(field: BoneField, seed: int) -> None:
    """Add the vertebrae from the atlas down to the edge of the field of view."""
    bend = np.random.default_rng([seed, 5]).normal(0, 1.0)
    field.add(ATLAS, 2)
    field.add(AXIS, 2)
    for n in range(1, 6):
        level, y = -47.0 - PITCH * n, 3.0 - 0.5 * n + bend * n * (4 - n) / 4
        body = Superellipsoid((0, y, level), (11.0, 8.5, 7.0), power=4)
        field.add(body, 2, midline=True)
        arch = {k: (x, y + dy, level + dz, r) for k, (x, dy, dz, r) in ARCH.items()}
        field.add(SphereMesh(arch, struts=ARCH_STRUTS), 2)
