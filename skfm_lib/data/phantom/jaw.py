"""The mandible (template millimetres, right side)."""

from functools import lru_cache

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import Point, SphereMesh, spheres
from skfm_lib.data.phantom.template import BIZYGOMATIC, FACE

LANDMARKS = spheres("""
    # joint and ramus
    condyle_out 56 9.5 -4 4, condyle_in 44 7.5 -4 3.8, neck 50.5 9.5 -14 3.4,
    post 51 10 -34 3.2, post_low 49 11 -57 3.2, gonion 47.5 18 -71 3.6,
    notch 48.5 25 -19 1.8, coronoid 46.5 40 -1 1.6, fore_up 44.5 44.5 -20 2.2,
    fore 37.5 47 -38 3, retromolar 30 47 -50 4.5, ramus 46.5 27 -44 2.4,
    # lower border, from the angle to the midline
    base1 41.5 37 -74.5 4, base2 33.5 57 -77 4.4, base3 22 74 -79 4.8,
    base4 11.5 83 -79.5 5, base5 0 85 -79.5 5,
    # alveolar margin, and the middle of the body
    al0 0 80.5 -57 3.6, al1 9 78.5 -57 3.8, al2 17 71.5 -57 4.2, al3 23 60 -56.5 4.8,
    al4 27 48 -55.5 5, mid0 0 81 -67 4.5, mid1 11.5 78.5 -67 4.4,
    mid2 22 68.5 -66.5 4.6, mid3 31 53.5 -64.5 5.2, mid4 36.5 42 -60 4.4,
    # mental protuberance and tubercles
    chin 0 86.5 -76 5.5, tubercle 11 84 -79 4.5
""")
BONES = """
    neck post notch, post notch ramus, post post_low ramus, post_low gonion ramus,
    notch coronoid fore_up, notch fore_up ramus, fore_up fore ramus, fore ramus mid4,
    ramus gonion mid4, gonion base1 mid4, base1 mid4 mid3, base1 base2 mid3,
    base2 mid3 mid2, base2 base3 mid2, base3 mid2 mid1, base3 base4 mid1,
    base4 mid1 mid0, base4 base5 mid0, mid0 mid1 al0, mid1 al0 al1, mid1 mid2 al1,
    mid2 al1 al2, mid2 mid3 al2, mid3 al2 al3, mid3 mid4 al3, mid4 al3 al4,
    mid4 al4 retromolar, mid4 retromolar fore
"""
JOINT = "condyle_out condyle_in, condyle_out neck condyle_in"
CHIN = "tubercle chin mid0"
# Shares of the shift of the angle (outward; forward and up), and of the chin's descent.
ANGLE = {
    "gonion": 1.0, "post_low": 0.9, "base1": 0.7, "post": 0.4, "ramus": 0.4,
    "base2": 0.2,
}  # fmt: skip
DROP = {
    "base5": 1.0, "base4": 1.0, "base3": 0.9, "base2": 0.5, "base1": 0.2,
    "chin": 1.0, "tubercle": 1.0, "mid0": 0.5, "mid1": 0.5, "mid2": 0.4,
}  # fmt: skip
GONION, HALF_GONIAL, CHIN_HEIGHT = 105.0, 51.1, 31.0  # the template's, degrees, mm
FORWARD, UP = 0.22, 0.66  # mm by which the angle moves for each of its degrees
STEEPER = 0.9  # degrees that each mm of a higher chin adds to it
RESORBED = 6.0  # mm of the alveolar margin that is lost with all teeth, assumed


@lru_cache(maxsize=8)  # a skull is modelled in many slabs
def sphere_meshes(measures: Craniometry) -> tuple[SphereMesh, SphereMesh]:
    """An individual's mandible, and its chin."""
    half = measures.gonial_breadth / 2 * BIZYGOMATIC / measures.bizygomatic
    wide = half - HALF_GONIAL
    low = measures.chin_height * FACE / measures.face_height - CHIN_HEIGHT
    obtuse = measures.gonial_angle - GONION - STEEPER * low
    ridge = RESORBED * (measures.tooth_loss == 1)
    points: dict[str, Point] = {}
    for name, (x, y, z, r) in LANDMARKS.items():
        share, drop = ANGLE.get(name, 0.0), DROP.get(name, 0.0)
        y, z = y + FORWARD * obtuse * share, z + UP * obtuse * share
        if name.startswith("al"):
            z -= ridge
        points[name] = (x + share * wide, y, z - drop * low, r)
    body = SphereMesh(points, BONES, JOINT, curved=True)
    return body, SphereMesh(points, struts=CHIN)


def add_mandible(field: BoneField, measures: Craniometry) -> None:
    """Add the mandible, its condyles in the joints of the skull."""
    body, chin = sphere_meshes(measures)
    field.add(body, 3)
    field.add(chin, 8)
