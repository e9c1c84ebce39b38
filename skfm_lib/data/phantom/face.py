"""The face: brows, orbits, nose, cheekbones, arches, upper jaw and palate.

A sphere mesh over landmarks of the right side, in template millimetres; orbits and nose
are openings of the mesh, the maxillary sinuses the space inside.
"""

from functools import lru_cache

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import Point, SphereMesh, Superellipsoid
from skfm_lib.data.phantom.template import BIZYGOMATIC, FACE, NASION_Z

# name: x, y, z, radius
LANDMARKS: dict[str, Point] = {
    # brow and orbital rim, counter-clockwise from the root of the nose
    "nasion": (0.0, 90.0, 29.0, 4.0),
    "glabella": (0.0, 92.0, 40.0, 5.5),
    "brow_in": (12.0, 90.5, 36.0, 5.0),
    "brow": (26.0, 88.0, 41.5, 4.0),
    "brow_out": (39.0, 81.0, 39.5, 3.8),
    "fz": (46.5, 71.0, 30.0, 3.6),
    "rim_out": (47.5, 66.5, 19.0, 3.2),
    "rim_low_out": (44.0, 70.0, 5.5, 3.6),
    "rim_low": (32.0, 78.5, 0.0, 3.0),
    "rim_low_in": (19.0, 84.0, 4.0, 2.6),
    "rim_in": (12.5, 86.5, 17.0, 2.2),
    "rim_top_in": (14.0, 88.0, 31.0, 3.5),
    # forehead and orbital roof
    "front": (0.0, 86.5, 61.0, 4.0),
    "front_mid": (22.0, 81.0, 62.0, 4.0),
    "front_out": (40.0, 66.0, 62.0, 4.0),
    "temporal": (50.0, 55.0, 51.0, 3.6),
    "roof_in": (13.0, 62.0, 34.0, 1.6),
    "roof_out": (35.0, 57.0, 38.0, 1.6),
    # nose
    "rhinion": (0.0, 102.0, 10.0, 1.6),
    "nasal_side": (6.0, 97.0, 9.0, 1.6),
    "ap_side": (11.0, 89.5, -2.0, 1.6),
    "ap_low": (13.3, 86.0, -10.5, 1.8),
    "ap_floor": (7.5, 87.0, -18.5, 2.0),
    "ans": (0.0, 94.0, -17.0, 1.5),
    "ans_root": (0.0, 87.0, -19.0, 2.5),
    # cheek
    "fossa": (23.0, 76.5, -12.0, 2.0),
    "malar": (43.0, 69.5, -4.0, 4.5),
    "malar_low": (45.0, 63.0, -13.0, 3.5),
    "malar_back": (54.0, 59.0, -3.0, 3.5),
    "malar_up": (51.5, 61.0, 10.0, 2.8),
    "buttress": (32.5, 61.0, -17.0, 3.0),
    # upper jaw: outer plate above the tooth roots, and the alveolar margin
    "jaw0": (0.0, 84.0, -24.0, 3.2),
    "jaw1": (11.0, 81.5, -24.0, 3.2),
    "jaw2": (19.0, 74.0, -23.0, 3.2),
    "jaw3": (24.0, 62.0, -22.0, 3.4),
    "jaw4": (25.0, 50.0, -19.0, 3.4),
    "al0": (0.0, 84.0, -33.0, 4.4),
    "al1": (11.0, 81.0, -33.0, 4.4),
    "al2": (18.5, 73.0, -33.0, 4.8),
    "al3": (23.0, 62.0, -33.0, 5.2),
    "al4": (25.0, 50.0, -31.0, 5.0),
    # orbital walls
    "apex": (13.0, 34.0, 17.0, 2.5),
    "wing_up": (32.0, 42.0, 32.0, 2.0),
    "wing_low": (30.0, 46.0, 8.0, 1.5),
    "floor_back": (22.0, 52.0, 4.0, 1.2),
    "lamina_up": (12.0, 56.0, 31.0, 1.2),
    "lamina_low": (13.0, 54.0, 9.0, 1.0),
    # sinus and nasal walls, palate
    "sinus_back": (32.0, 50.0, -6.0, 1.3),
    "nasal_wall": (14.0, 50.0, -12.0, 1.2),
    "nasal_fore": (14.0, 80.0, -12.0, 1.2),
    "palate0": (0.0, 80.0, -20.0, 2.2),
    "palate1": (15.0, 76.0, -20.5, 2.0),
    "palate2": (17.0, 51.0, -18.0, 2.0),
    "pns": (0.0, 46.0, -15.0, 1.6),
    # arch
    "arch1": (61.0, 48.0, 1.0, 3.0),
    "arch2": (65.5, 34.0, 3.0, 2.6),
    "arch3": (65.5, 20.0, 3.5, 3.0),
    "arch4": (64.0, 6.0, 4.0, 3.4),
    "arch1_up": (59.0, 50.0, 5.5, 2.5),
    "arch2_up": (65.0, 34.0, 6.0, 2.4),
    "arch3_up": (65.0, 20.0, 6.5, 2.6),
    # behind the palate
    "pt_top": (19.0, 41.0, 2.0, 3.0),
    "pt_side": (25.0, 36.0, -20.0, 1.3),
    "pt_mid": (14.0, 38.0, -25.0, 1.3),
    "pt_fore": (19.0, 46.0, -22.0, 2.0),
}
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
    nasal_fore nasal_wall palate1, nasal_wall palate1 palate2, palate0 palate1 palate2,
    palate0 palate2 pns, palate0 ans_root ap_floor, palate0 palate1 ap_floor,
    palate1 jaw1 jaw2, palate1 jaw2 jaw3, palate1 palate2 jaw3, palate2 jaw3 jaw4,
    pt_top pt_side pt_fore, pt_top pt_mid pt_fore, pt_fore jaw4 palate2
"""  # thin walls inside
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
    moved = {}
    for name, (x, y, z, r) in LANDMARKS.items():
        if name.startswith(("ap_", "nasal_", "palate1")) and x < 20:
            x *= nose
        if name in ("fz", "rim_out", "rim_low_out", "malar_up"):
            x += orbit
        if name.startswith(("ap_floor", "ap_low", "ans", "palate", "pns")):
            z += floor
        if name.startswith(("brow", "glabella")):
            y, r = y + 1.2 * (measures.brow - 1), r + 0.8 * (measures.brow - 1)
        moved[name] = (x, y, z, r)
    return moved


@lru_cache(maxsize=8)  # a skull is modelled in many slabs
def sphere_meshes(measures: Craniometry) -> tuple[SphereMesh, SphereMesh]:
    """An individual's thin inner walls, and the front of the face with its rims."""
    points = landmarks(measures)
    return SphereMesh(points, WALLS), SphereMesh(points, SKIN, RIMS, curved=True)


def add_face(field: BoneField, measures: Craniometry) -> None:
    """Add the face to the braincase."""
    walls, front = sphere_meshes(measures)
    field.add(BROW_CORE, 4, midline=True)
    field.add(walls, 4)
    field.add(front, 5)


def clear_orbits(field: BoneField, measures: Craniometry) -> None:
    """Cut the cones of the orbits, leaving a wall to the brain cavity."""
    wide = measures.orbital_breadth / 40.0
    cone = SphereMesh(
        {
            "apex": (15.0, 36.0, 18.0, 3.0),
            "mid": (25.0, 55.0, 20.0, 10.5 * wide),
            "globe": (28.5, 72.0, 20.0, 15.3 * wide),
            "out": (33.0, 96.0, 19.0, 16.5 * wide),
        },
        struts="apex mid globe out",
    )
    field.cut(cone, 1.5)


def add_nose(field: BoneField) -> None:
    """Add septum, conchae and ethmoid lamellae inside the nasal cavity."""
    field.add(SEPTUM, 1.5, midline=True)
    field.add(CONCHAE, 1.5)


BROW_CORE = Superellipsoid((0, 77, 47), (43, 14, 13))
SEPTUM = SphereMesh(
    {
        "fore": (0.0, 84.0, -17.0, 1.4),
        "back": (0.0, 46.0, -14.0, 1.4),
        "sphenoid": (0.0, 44.0, 6.0, 1.4),
        "roof": (0.0, 66.0, 26.0, 0.9),
        "nasal": (0.0, 92.0, 20.0, 1.5),
        "edge": (0.0, 84.0, 0.0, 0.7),
    },
    plates="fore back edge, back sphenoid edge, sphenoid roof edge, roof nasal edge",
)
CONCHAE = SphereMesh(
    {
        "low_root": (13.0, 76.0, -4.0, 0.9),
        "low_root2": (14.0, 52.0, -4.0, 0.9),
        "low": (7.0, 76.0, -9.0, 1.8),
        "low2": (7.5, 52.0, -9.0, 1.8),
        "mid_root": (6.0, 74.0, 20.0, 0.8),
        "mid_root2": (6.0, 48.0, 18.0, 0.8),
        "mid": (6.5, 72.0, 4.0, 1.6),
        "mid2": (7.0, 48.0, 3.0, 1.6),
        "lamella": (6.0, 80.0, 28.0, 1.2),
        "lamella2": (6.0, 50.0, 27.0, 1.2),
        "cross": (13.0, 70.0, 26.0, 0.8),
        "cross2": (13.0, 68.0, 10.0, 0.8),
    },
    plates=(
        "low_root low_root2 low, low_root2 low low2, mid_root mid_root2 mid, "
        "mid_root2 mid mid2, mid_root mid_root2 lamella, mid_root2 lamella lamella2, "
        "mid_root cross cross2"
    ),
)
