"""The braincase: a star-shaped shell of varying thickness, its base and its holes.

All coordinates are those of the template skull, mm, right side; `individual` says how
a template point and an individual's point belong together.
"""

import numpy as np

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.distance_field import Clay
from skfm_lib.data.phantom.primitives import Pebble, Web

CENTRE = (0.0, 0.0, 45.0)  # of the polar form, mm
# Radius of the outer table and thickness of the bone, mm, in the direction (x, y, z)
# from CENTRE: coefficient of x^a y^b z^c, keys (a, b, c), even in x.  Least-squares
# fits over 5303 rays (r.m.s. residual 2.1 mm and 1.3 mm) to one adult's head CT.
OUTER = {
    (0, 0, 6): 63.49, (0, 0, 5): 16.06, (0, 1, 5): 28.05, (0, 1, 4): -26.72,
    (0, 2, 4): 246.37, (0, 2, 3): 11.69, (0, 3, 3): 15.05, (0, 3, 2): -43.26,
    (0, 4, 2): 200.2, (0, 4, 1): 36.84, (0, 5, 1): 45.77, (0, 5, 0): -6.06,
    (0, 6, 0): 87.23, (2, 0, 4): 206.9, (2, 0, 3): 3.28, (2, 1, 3): 26.63,
    (2, 1, 2): -14.7, (2, 2, 2): 579.79, (2, 2, 1): 10.2, (2, 3, 1): 14.22,
    (2, 3, 0): -1.25, (2, 4, 0): 262.2, (4, 0, 2): 237.64, (4, 0, 1): 5.47,
    (4, 1, 1): 4.04, (4, 1, 0): -17.73, (4, 2, 0): 212.41, (6, 0, 0): 68.14,
}  # fmt: skip
THICKNESS = {
    (0, 0, 4): 5.49, (0, 0, 3): 2.94, (0, 1, 3): -0.9, (0, 1, 2): -0.33,
    (0, 2, 2): 15.07, (0, 2, 1): 2.9, (0, 3, 1): 3.02, (0, 3, 0): -1.99,
    (0, 4, 0): 7.12, (2, 0, 2): 15.08, (2, 0, 1): 1.95, (2, 1, 1): 1.29,
    (2, 1, 0): -1.48, (2, 2, 0): 11.76, (4, 0, 0): 4.63,
}  # fmt: skip
PARIETAL = 6.4  # template thickness at the parietal eminences, mm


def polynomial(terms: dict, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Σ c·x^a y^b z^c for terms {(a, b, c): c}, by nested Horner schemes."""

    def nest(terms: dict, variables: tuple[np.ndarray, ...]) -> np.ndarray | float:
        if not variables:
            return np.float32(sum(terms.values()))
        total = None
        for power in range(max(key[0] for key in terms), -1, -1):
            inner = {k[1:]: c for k, c in terms.items() if k[0] == power}
            if total is not None:
                total = total * variables[0]
            if inner:
                value = nest(inner, variables[1:])
                total = value if total is None else total + value
        return total

    return nest(terms, (x, y, z))


THINNEST = 2.2  # mm of braincase
CLOSED = 1.45  # voxels of braincase
# The floor of the anterior fossa, over the orbits, is a step above the middle one:
# half-width, back (y) and top (z) of the block under it, mm.
FOSSA_STEP = (45.0, 41.0, 34.0)


def add_vault(clay: Clay, who: Craniometry) -> np.ndarray:
    """Fill the braincase to its outer table; the field of the brain cavity, mm."""
    x, y, z = (c - np.float32(o) for c, o in zip(clay.points, CENTRE))
    rho = np.sqrt(x * x + y * y + z * z) + np.float32(1e-3)
    u = (x / rho, y / rho, z / rho)
    outer = rho - polynomial(OUTER, *u)
    thick = polynomial(THICKNESS, *u) * np.float32(who.parietal_thickness / PARIETAL)
    np.minimum(clay.bone, outer, out=clay.bone)
    # Along the ray a wall measures its thickness times the slope of `outer`.
    slope = np.sqrt(sum(g * g for g in np.gradient(outer, clay.spacing)))
    least = np.float32(CLOSED * clay.spacing) * np.clip(slope, 1, 2.5)
    brain = outer + np.maximum(thick, np.maximum(least, THINNEST))
    x, y, z = clay.points
    half, back, top = FOSSA_STEP
    step = np.maximum(np.maximum(np.abs(x) - half, back - y), z - top)
    return np.maximum(brain, -step)


def add_base(clay: Clay, who: Craniometry) -> None:
    """The outer relief of the base: mastoids, condyles, clivus, occiput, joint."""
    m = who.mastoid
    mastoid = Web(
        {
            "root": (55.0, -14.0, -3.0, 11.0),
            "fore": (57.0, -6.0, -4.0, 6.0),
            "belly": (54.0, -11.0, -16.0 * m, 8.0 * m),
            "tip": (52.0, -6.0, -27.0 * m, 4.0),
        },
        struts=[("root", "belly", "tip"), ("fore", "belly")],
    )
    clay.add(mastoid, 6)
    clay.add(Pebble((17, -7, -22), (5.5, 11, 6), yaw=-28), 4)
    clay.add(STYLOID, 2)
    clay.add(BASE, 8)
    clay.add(OCCIPUT, 8)


def cut_openings(clay: Clay, brain: np.ndarray, who: Craniometry) -> None:
    """Hollow the brain cavity, foramen magnum, ear canals and the bone's air cells."""
    clay.carve(brain)
    clay.cut(Pebble((0, -20, -26), (15, 18, 16)), midline=True)
    clay.cut(EAR_CANAL)
    clay.cut(JUGULAR)
    s = who.sinus
    clay.cut(Pebble((9.0, 89, 45), (8.0 * s, 5.0, 9 * s)), 1.8, closed=True)
    clay.cut(Pebble((54, -13, -6), (6, 8, 8)), 3, closed=True)


def add_fossae(clay: Clay, who: Craniometry) -> None:
    """What stands up inside the braincase: petrous ridges, sella, wings, crest."""
    clay.add(SPHENOID, 4)
    clay.add(INNER, 5)
    s = who.sinus
    sinus = Pebble((0, 36, 9), (10 * s, 11 * s, 8.5 * s))
    clay.cut(sinus, 1.5, midline=True, closed=True)
    clay.cut(ETHMOID, 1.2, midline=True)


ETHMOID = Pebble((0, 66, 10), (10.5, 23, 18), power=4)
STYLOID = Web(
    {"top": (46.0, 2.0, -10.0, 3.0), "tip": (41.0, 12.0, -36.0, 1.0)},
    struts=[("top", "tip")],
)
BASE = Web(
    {
        "tmj_out": (63.0, 17.0, 0.0, 4.0),
        "tmj_in": (44.0, 19.0, 0.0, 4.5),
        "post_out": (62.0, 2.0, 3.0, 4.0),
        "ear_fore": (60.0, 4.0, -5.0, 2.5),
        "ear_under": (57.0, -1.0, -9.0, 3.0),
        "ear_in": (42.0, 2.0, -8.0, 4.0),
        "petrous": (24.0, 10.0, -4.0, 7.0),
        "spine": (34.0, 14.0, -6.0, 3.0),
        "wing": (38.0, 32.0, 0.0, 4.0),
        "wing_fore": (34.0, 44.0, 4.0, 3.0),
        "pterygoid": (20.0, 38.0, 0.0, 6.0),
        "jugular": (32.0, -6.0, -14.0, 5.0),
    },
    struts=[
        ("tmj_out", "tmj_in", "spine", "petrous"),
        ("tmj_out", "post_out"),
        ("ear_fore", "ear_under", "ear_in"),
        ("jugular", "ear_in", "petrous"),
    ],
    plates=[("tmj_in", "wing", "pterygoid"), ("wing", "wing_fore", "pterygoid")],
)
OCCIPUT = Web(
    {
        "inion": (0.0, -76.0, -8.0, 5.0),
        "nuchal": (30.0, -68.0, -3.0, 3.0),
        "asterion": (54.0, -38.0, -2.0, 3.0),
        "crest": (0.0, -44.0, -25.0, 2.0),
    },
    struts=[("inion", "nuchal", "asterion"), ("inion", "crest")],
)
SPHENOID = Web(
    {
        "rostrum": (0.0, 46.0, 6.0, 9.0),
        "body": (0.0, 32.0, 9.0, 15.0),
        "clivus": (0.0, 15.0, -4.0, 8.0),
        "basion": (0.0, 4.0, -19.0, 4.5),
        "rim": (11.0, -2.0, -20.0, 4.0),
        "rim_back": (15.0, -20.0, -24.0, 3.0),
        "opisthion": (0.0, -38.0, -27.0, 3.0),
    },
    struts=[
        ("rostrum", "body", "clivus", "basion", "rim", "rim_back", "opisthion"),
    ],
)
EAR_CANAL = Web(
    {"out": (80.0, -3.0, -2.0, 4.0), "drum": (44.0, 2.0, -2.0, 3.5)},
    struts=[("out", "drum")],
)
JUGULAR = Web(
    {"up": (25.0, -6.0, -4.0, 3.5), "down": (28.0, -2.0, -26.0, 4.0)},
    struts=[("up", "down")],
)
INNER = Web(
    {
        "petrous_out": (57.0, -9.0, 2.0, 9.0),
        "petrous_mid": (36.0, 0.0, 4.0, 8.0),
        "petrous_tip": (15.0, 14.0, 2.0, 5.5),
        "dorsum_low": (0.0, 16.0, 12.0, 4.0),
        "dorsum": (7.0, 16.5, 22.0, 2.2),
        "clinoid": (10.0, 30.0, 28.0, 2.5),
        "tubercle": (0.0, 36.0, 25.0, 4.0),
        "wing": (28.0, 41.0, 33.0, 2.2),
        "wing_out": (47.0, 47.0, 34.0, 3.0),
        "crista": (0.0, 76.0, 40.0, 1.5),
        "crista_base": (0.0, 64.0, 34.0, 1.5),
        "protuberance": (0.0, -84.0, 8.0, 5.0),
    },
    struts=[
        ("petrous_out", "petrous_mid", "petrous_tip", "dorsum_low", "dorsum"),
        ("tubercle", "clinoid", "wing", "wing_out"),
        ("crista", "crista_base"),
        ("protuberance", "protuberance"),
    ],
)
