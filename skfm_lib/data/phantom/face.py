"""The face: brows, orbits, nose, cheekbones, arches, upper jaw and palate.

A sphere mesh over landmarks of the right side, in template millimetres; orbits and nose
are openings of the mesh, the maxillary sinuses the space inside.
"""

from functools import lru_cache

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import (
    Point,
    SphereMesh,
    Superellipsoid,
    spheres,
)
from skfm_lib.data.phantom.template import BIZYGOMATIC, FACE, NASION_Z

SINUS_FORE = 76.0  # y of the front of the maxillary sinus, mm
RESORBED = 4.0  # mm of the alveolar margin that is lost with all teeth, assumed
LANDMARKS = spheres("""
    # brow and orbital rim, counter-clockwise from the root of the nose
    nasion 0 90 29 4, glabella 0 92 40 5.5, brow_in 12 90.5 36 5, brow 26 88 41.5 4,
    brow_out 39 81 39.5 3.8, fz 46.5 71 30 3.6, rim_out 47.5 66.5 19 3.2,
    rim_low_out 44 70 5.5 3.6, rim_low 32 78.5 0 3, rim_low_in 19 84 4 2.6,
    rim_in 12.5 86.5 17 2.2, rim_top_in 14 88 31 3.5,
    # forehead and orbital roof
    front 0 86.5 61 4, front_mid 22 81 62 4, front_out 40 66 62 4,
    temporal 50 55 51 3.6, roof_in 13 62 34 0.35, roof_out 35 57 38 0.35,
    # nose
    rhinion 0 102 10 1.6, nasal_side 6 97 9 1.6, ap_side 11 89.5 -2 1.6,
    ap_low 13.3 86 -10.5 1.8, ap_floor 7.5 87 -18.5 2, ans 0 94 -17 1.5,
    ans_root 0 87 -19 2.5,
    # cheek
    fossa 23 76.5 -12 2, malar 43 69.5 -4 4.5, malar_low 45 63 -13 3.5,
    malar_back 54 59 -3 3.5, malar_up 51.5 61 10 2.8, buttress 32.5 61 -17 3,
    # upper jaw: outer plate above the tooth roots, and the alveolar margin
    jaw0 0 84 -24 3.2, jaw1 11 81.5 -24 3.2, jaw2 19 74 -23 3.2, jaw3 24 62 -22 3.4,
    jaw4 25 50 -19 3.4, al0 0 84 -33 4.4, al1 11 81 -33 4.4, al2 18.5 73 -33 4.8,
    al3 23 62 -33 5.2, al4 25 50 -31 5,
    # orbital walls
    apex 13 34 17 2.5, wing_up 32 42 32 2, wing_low 30 46 8 1.5,
    floor_back 22 52 4 0.12, lamina_up 12 56 31 0.08, lamina_low 13 54 9 0.07,
    # sinus and nasal walls, palate
    sinus_back 32 50 -6 0.3, nasal_wall 14 50 -12 0.25, nasal_fore 14 80 -12 0.25,
    palate0 0 80 -20 2.2, palate1 15 76 -20.5 2, palate2 17 51 -18 2, pns 0 46 -15 1.6,
    # arch
    arch1 61 48 1 3, arch2 65.5 34 3 2.6, arch3 65.5 20 3.5 3, arch4 64 6 4 3.4,
    arch1_up 59 50 5.5 2.5, arch2_up 65 34 6 2.4, arch3_up 65 20 6.5 2.6,
    # behind the palate
    pt_top 19 41 2 3, pt_side 25 36 -20 1.3, pt_mid 14 38 -25 1.3, pt_fore 19 46 -22 2
""")
SKIN = """
    nasion rim_top_in rim_in, nasion rim_in nasal_side, nasion rhinion nasal_side,
    rim_in rim_low_in nasal_side, nasal_side rim_low_in ap_side,
    ap_side rim_low_in ap_low, ap_low rim_low_in fossa, rim_low_in rim_low fossa,
    rim_low rim_low_out malar, rim_low malar fossa, malar fossa buttress,
    malar malar_low buttress, malar malar_back malar_low, rim_low_out malar malar_back,
    rim_low_out malar_back malar_up, rim_low_out rim_out malar_up, ap_low fossa jaw1,
    ap_low ap_floor jaw1, ap_floor ans_root jaw1, ans_root jaw0 jaw1, fossa jaw1 jaw2,
    fossa jaw2 buttress, jaw2 jaw3 buttress, jaw3 jaw4 buttress, jaw0 jaw1 al0,
    jaw1 al0 al1, jaw1 jaw2 al1, jaw2 al1 al2, jaw2 jaw3 al2, jaw3 al2 al3,
    jaw3 jaw4 al3, jaw4 al3 al4, glabella nasion brow_in, nasion brow_in rim_top_in,
    glabella front brow_in, front brow_in front_mid, brow_in brow front_mid,
    brow brow_out front_mid, brow_out front_mid front_out, brow_out front_out temporal,
    brow_out fz temporal, malar_back malar_up arch1, arch1 malar_up arch1_up,
    arch1 arch1_up arch2, arch1_up arch2 arch2_up, arch2 arch2_up arch3,
    arch2_up arch3 arch3_up, arch3 arch3_up arch4
"""  # the front surface, between the openings
WALLS = """
    brow_in roof_in rim_top_in, brow_in brow roof_in, brow roof_in roof_out,
    brow brow_out roof_out, brow_out fz roof_out, fz roof_out wing_up,
    fz temporal wing_up, fz rim_out wing_up, rim_out wing_up wing_low,
    rim_out rim_low_out wing_low, wing_up wing_low apex, rim_low rim_low_out floor_back,
    rim_low_out wing_low floor_back, rim_low rim_low_in floor_back,
    rim_low_in lamina_low floor_back, rim_in rim_low_in lamina_low,
    rim_in lamina_low lamina_up, rim_in rim_top_in lamina_up, lamina_up lamina_low apex,
    floor_back lamina_low apex, malar buttress sinus_back, buttress jaw4 sinus_back,
    floor_back sinus_back wing_low, jaw4 sinus_back nasal_wall,
    sinus_back nasal_wall floor_back, nasal_wall nasal_fore lamina_low,
    nasal_fore rim_low_in lamina_low, nasal_fore ap_low rim_low_in,
    nasal_fore nasal_wall palate1, nasal_wall palate1 palate2
"""  # thin walls inside
PALATE = """
    palate0 palate1 palate2, palate0 palate2 pns, palate0 ans_root ap_floor,
    palate0 palate1 ap_floor, palate1 jaw1 jaw2, palate1 jaw2 jaw3,
    palate1 palate2 jaw3, palate2 jaw3 jaw4, pt_top pt_side pt_fore,
    pt_top pt_mid pt_fore, pt_fore jaw4 palate2
"""  # and the pterygoid plates
WALL = 0.7  # mm, greatest half thickness of those walls, where they meet the rims
ROOF = 0.8  # mm between the orbits and the braincase
RIMS = """
    glabella brow_in brow brow_out fz rim_out rim_low_out rim_low rim_low_in rim_in,
    nasion glabella, brow_in rim_top_in rim_in, ans ans_root, arch3 arch4
"""


def landmarks(measures: Craniometry) -> dict[str, Point]:
    """Template landmarks adapted to an individual's nose, orbits and brow, mm."""
    lateral = BIZYGOMATIC / measures.bizygomatic
    nose = measures.nasal_breadth / 24.0 * lateral
    orbit = (measures.orbital_breadth * lateral - 41.5) / 2
    floor = NASION_Z - measures.nasal_height * FACE / measures.face_height + 18.0
    moved: dict[str, Point] = {}
    for name, (x, y, z, r) in LANDMARKS.items():
        if name.startswith(("ap_", "nasal_", "palate1")) and x < 20:
            x *= nose
        if name in ("fz", "rim_out", "rim_low_out", "malar_up"):
            x += orbit
        if name.startswith(("ap_floor", "ap_low", "ans", "palate", "pns")):
            z += floor
        if name == "sinus_back":
            y = SINUS_FORE + (y - SINUS_FORE) * measures.sinus
        if name.startswith("al") and measures.tooth_loss == 1:
            z += RESORBED
        if name.startswith(("brow", "glabella")):
            y, r = y + 1.2 * (measures.brow - 1), r + 0.8 * (measures.brow - 1)
        moved[name] = (x, y, z, r)
    return moved


@lru_cache(maxsize=8)  # a skull is modelled in many slabs
def sphere_meshes(measures: Craniometry) -> tuple[SphereMesh, SphereMesh, SphereMesh]:
    """An individual's thin inner walls, palate, and front of the face with its rims."""
    points = landmarks(measures)
    thin = {
        name: (x, y, z, min(r, WALL) * measures.walls)
        for name, (x, y, z, r) in points.items()
    }
    front = SphereMesh(points, SKIN, RIMS, curved=True)
    return SphereMesh(thin, WALLS), SphereMesh(points, PALATE), front


def add_face(field: BoneField, measures: Craniometry) -> None:
    """Add the face to the braincase."""
    walls, palate, front = sphere_meshes(measures)
    field.add(BROW_CORE, 4, midline=True)
    field.add(walls, 1, walls=True)
    field.add(palate, 4)
    field.add(front, 5)


def clear_orbits(field: BoneField, measures: Craniometry) -> None:
    """Cut the cones of the orbits, leaving a wall to the brain cavity."""
    field.cut(orbit(measures.orbital_breadth), ROOF)


def orbit(breadth: float = 40.0) -> SphereMesh:
    """The cone of an orbit of that breadth, mm."""
    wide = breadth / 40.0
    return SphereMesh(
        {
            "apex": (15.0, 36.0, 18.0, 3.0),
            "mid": (25.0, 55.0, 20.0, 10.5 * wide),
            "globe": (28.5, 72.0, 20.0, 15.3 * wide),
            "out": (33.0, 96.0, 19.0, 16.5 * wide),
        },
        struts="apex mid globe out",
    )


def add_nose(field: BoneField) -> None:
    """Add septum, conchae and ethmoid lamellae inside the nasal cavity."""
    field.add(SEPTUM, 1.5, midline=True)
    field.add(CONCHAE, 1.5)


BROW_CORE = Superellipsoid((0, 77, 47), (43, 14, 13))
SEPTUM = SphereMesh(
    spheres("""
        fore 0 84 -17 1.4, back 0 46 -14 1.4, sphenoid 0 44 6 1.4, roof 0 66 26 0.9,
        nasal 0 92 20 1.5, edge 0 84 0 0.7
    """),
    plates="fore back edge, back sphenoid edge, sphenoid roof edge, roof nasal edge",
)
CONCHAE = SphereMesh(
    spheres("""
        low_root 13 76 -4 0.9, low_root2 14 52 -4 0.9, low 7 76 -9 1.8,
        low2 7.5 52 -9 1.8, mid_root 6 74 20 0.8, mid_root2 6 48 18 0.8,
        mid 6.5 72 4 1.6, mid2 7 48 3 1.6, lamella 6 80 28 1.2, lamella2 6 50 27 1.2,
        cross 13 70 26 0.8, cross2 13 68 10 0.8
    """),
    plates=(
        "low_root low_root2 low, low_root2 low low2, mid_root mid_root2 mid, "
        "mid_root2 mid mid2, mid_root mid_root2 lamella, mid_root2 lamella lamella2, "
        "mid_root cross cross2"
    ),
)
