"""The braincase: a star-shaped shell of varying thickness, its base and its openings.

Coordinates are those of the template skull (see `template`), mm, right side.
"""

import numpy as np

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import SphereMesh, Superellipsoid, spheres

Terms = dict[tuple[int, ...], float]
CENTRE = (0.0, 0.0, 45.0)  # of the polar form, mm
# Radius of the outer table and thickness of the bone, mm, in the direction (x, y, z)
# from CENTRE: coefficients of x^i y^j z^k, keys (i, j, k), even in x.  Fits to the
# vaults of two heads with equal weight, the CT of a plastic skull and the mask of a
# patient after craniotomy, over 5303 rays: 3453 and 3403 of them meet the vault.  The
# heads were registered, scaled to the template's length, breadth and vertex (the
# thickness to a common median), and moved to the common surface by pose and scale.
# Robust weights (Geman and McClure, 3 mm) leave out saw cuts, burr holes and posts.
# Of the 98 % of rays within 8 mm, the r.m.s. residual is 1.4 mm (plastic skull) and
# 1.8 mm; of the thickness 1.7 and 1.3 mm.  Where a ray meets the face or the base, the
# fit follows planes through forehead, orbital roofs, middle and posterior fossa.
OUTER: Terms = {
    (0, 0, 5): 16.43, (0, 0, 6): 62.58, (0, 1, 4): -3.44, (0, 1, 5): 4.96,
    (0, 2, 3): 7.59, (0, 2, 4): 253.67, (0, 3, 2): -40.05, (0, 3, 3): 11.46,
    (0, 4, 1): 27.1, (0, 4, 2): 234.81, (0, 5, 0): -6.91, (0, 5, 1): 49.51,
    (0, 6, 0): 87.24, (2, 0, 3): 3.56, (2, 0, 4): 206.56, (2, 1, 2): -37.57,
    (2, 1, 3): 41.1, (2, 2, 1): 24.03, (2, 2, 2): 485.02, (2, 3, 0): -8.73,
    (2, 3, 1): 16.48, (2, 4, 0): 258.58, (4, 0, 1): 4.89, (4, 0, 2): 244.81,
    (4, 1, 0): -16.96, (4, 1, 1): 4.38, (4, 2, 0): 219.06, (6, 0, 0): 66.92,
}  # fmt: skip
THICKNESS: Terms = {
    (0, 0, 3): 0.78, (0, 0, 4): 4.65, (0, 1, 2): -1.43, (0, 1, 3): -2.12,
    (0, 2, 1): 0.38, (0, 2, 2): 14.64, (0, 3, 0): -0.72, (0, 3, 1): 1.66,
    (0, 4, 0): 5.46, (2, 0, 1): 1.39, (2, 0, 2): 12.64, (2, 1, 0): -2.04,
    (2, 1, 1): 0.65, (2, 2, 0): 8.37, (4, 0, 0): 2.94,
}  # fmt: skip
VAULT = 4.9  # mean thickness over z = 40, mm, at the size of an average head
REGIONAL = 0.95  # standard deviation of a site from its skull's mean, mm; in 281 skulls
# × 40 sites, 1.5 of a site's thickness and 1.2 of the mean [moreiragonzalez2006]
THINNEST = 1.2  # least thickness of the vault, mm
LAMINA = 0.25  # mm between the ethmoidal air and the orbits
# The floor of the anterior fossa, over the orbits, is higher than the middle one:
# half-width, back (y) and top (z) of the block under it, mm.
FOSSA_STEP = (45.0, 41.0, 34.0)


def polynomial(terms: Terms, *variables: np.ndarray) -> np.ndarray | np.float32:
    """``Σ c x^i y^j z^k`` for terms {(i, j, k): c}, by nested Horner schemes."""
    if not variables:
        return np.float32(sum(terms.values()))
    total: np.ndarray | np.float32 = np.float32(0)
    for power in range(max(key[0] for key in terms), -1, -1):
        inner = {key[1:]: c for key, c in terms.items() if key[0] == power}
        if inner:
            total = total + polynomial(inner, *variables[1:])
        if power:
            total = total * variables[0]
    return total


def add_vault(field: BoneField, measures: Craniometry) -> np.ndarray:
    """Fill the braincase up to its outer table; return the field of its cavity, mm."""
    x, y, z = (c - np.float32(o) for c, o in zip(field.points, CENTRE))
    rho = np.sqrt(x * x + y * y + z * z) + np.float32(1e-3)
    u = (x / rho, y / rho, z / rho)
    outer = rho - polynomial(OUTER, *u)
    # Along a ray, the polynomials are steeper than distances.
    slope = np.sqrt(sum(g * g for g in np.gradient(outer, field.spacing)))
    slope = np.clip(slope, 1, 2.5)
    scale = np.float32(measures.parietal_thickness / VAULT)
    thick = polynomial(THICKNESS, *u) * scale / slope
    thick = thick + np.float32(REGIONAL) * field.thickening
    outer = outer / slope
    brain = outer + np.maximum(thick, np.float32(THINNEST))
    np.minimum(field.bone, outer, out=field.bone)
    x, y, z = field.points
    half, back, top = FOSSA_STEP
    step = np.maximum(np.maximum(np.abs(x) - half, back - y), z - top)
    return np.maximum(brain, -step)


def add_base(field: BoneField, measures: Craniometry) -> None:
    """The outer relief of the base: mastoids, condyles, joint surfaces, occiput."""
    m = measures.mastoid
    mastoid = SphereMesh(
        {
            "root": (55.0, -14.0, -3.0, 11.0),
            "fore": (57.0, -6.0, -4.0, 6.0),
            "belly": (54.0, -11.0, -16.0 * m, 8.0 * m),
            "tip": (52.0, -6.0, -27.0 * m, 4.0),
        },
        struts="root belly tip, fore belly",
    )
    field.add(mastoid, 6)
    field.add(Superellipsoid((17, -7, -16), (5.5, 11, 6), yaw=-28), 4)
    field.add(STYLOID, 2)
    field.add(BASE, 8)
    field.add(OCCIPUT, 8)


def cut_openings(field: BoneField, brain: np.ndarray, measures: Craniometry) -> None:
    """Cut the brain cavity, foramina, ear canals, frontal sinuses and mastoid air."""
    field.carve(brain)
    field.cut(Superellipsoid((0, -20, -20), (15, 18, 16)), midline=True)
    field.cut(EAR_CANAL)
    field.cut(JUGULAR)
    if s := measures.frontal_sinus:
        sinus = Superellipsoid((9.0, 89, 45), (8 * s, 5 * s, 9 * s))
        field.cut(sinus, 1.8, closed=True)
    field.cut(Superellipsoid((54, -13, -6), (6, 8, 8)), 3, closed=True)


def add_fossae(field: BoneField, measures: Craniometry) -> None:
    """Relief inside the braincase (petrous ridges, sella, wings, crest) and sinuses."""
    field.add(SPHENOID, 4)
    field.add(INNER, 5)
    s = measures.sinus
    sinus = Superellipsoid((0, 36, 9), (10 * s, 11 * s, 8.5 * s))
    field.cut(sinus, 1.5, midline=True, closed=True)
    field.cut(ETHMOID, LAMINA, midline=True)


ETHMOID = Superellipsoid((0, 66, 10), (10.5, 23, 18), power=4)
STYLOID = SphereMesh(
    spheres("top 46 2 -10 3, tip 41 12 -36 1"),
    struts="top tip",
)
BASE = SphereMesh(
    spheres("""
        tmj_out 63 17 0 4, tmj_in 44 19 0 4.5, post_out 62 2 3 4, ear_fore 60 4 -5 2.5,
        ear_under 57 -1 -9 3, ear_in 42 2 -8 4, petrous 24 10 -4 7, spine 34 14 -6 3,
        wing 38 32 0 4, wing_fore 34 44 4 3, pterygoid 20 38 0 6, jugular 32 -6 -14 5
    """),
    struts=(
        "tmj_out tmj_in spine petrous, tmj_out post_out, ear_fore ear_under ear_in, "
        "jugular ear_in petrous"
    ),
    plates="tmj_in wing pterygoid, wing wing_fore pterygoid",
)
OCCIPUT = SphereMesh(
    spheres("""
        inion 0 -76 -8 5, nuchal 30 -68 -3 3, asterion 54 -38 -2 3, crest 0 -44 -21 2
    """),
    struts="inion nuchal asterion, inion crest",
)
SPHENOID = SphereMesh(
    spheres("""
        rostrum 0 46 6 9, body 0 32 9 15, clivus 0 15 -2 8, basion 0 4 -13 4.5,
        rim 11 -2 -14 4, rim_back 15 -20 -18 3, opisthion 0 -38 -21 3
    """),
    struts="rostrum body clivus basion rim rim_back opisthion",
)
EAR_CANAL = SphereMesh(
    spheres("out 80 -3 -2 4, drum 44 2 -2 3.5"),
    struts="out drum",
)
JUGULAR = SphereMesh(
    spheres("up 25 -6 -4 3.5, down 28 -2 -26 4"),
    struts="up down",
)
INNER = SphereMesh(
    spheres("""
        petrous_out 57 -9 2 9, petrous_mid 36 0 4 8, petrous_tip 15 14 2 5.5,
        dorsum_low 0 16 12 4, dorsum 7 16.5 22 2.2, clinoid 10 30 28 2.5,
        tubercle 0 36 25 4, wing 28 41 33 2.2, wing_out 47 47 34 3, crista 0 76 40 1.5,
        crista_base 0 64 34 1.5, protuberance 0 -84 8 5
    """),
    struts=(
        "petrous_out petrous_mid petrous_tip dorsum_low dorsum, "
        "tubercle clinoid wing wing_out, crista crista_base, protuberance protuberance"
    ),
)
