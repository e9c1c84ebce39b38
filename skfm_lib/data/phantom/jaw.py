"""The mandible (template millimetres, right side)."""

from functools import lru_cache

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.shapes import Point, Web


@lru_cache(maxsize=8)  # one skull is worked in many slabs
def mandible(who: Craniometry) -> Web:
    """Body, chin, rami, condyles and coronoids as one web."""
    wide = (who.gonial_breadth / 97.0 - 1) * 8
    open_ = (who.gonial_angle - 122.0) * 0.35
    low = who.chin_height - 31.0
    points: dict[str, Point] = {
        "condyle_out": (56.0, 9.5, -4.0, 4.0),
        "condyle_in": (44.0, 7.5, -4.0, 3.8),
        "neck": (50.5, 9.5, -14.0, 3.4),
        "post": (51.0 + wide / 2, 10.0, -34.0, 3.2),
        "post_low": (49.0 + wide, 11.0 + open_ / 2, -57.0, 3.2),
        "gonion": (46.5 + wide, 18.0 + open_, -73.0 + open_ / 2, 3.6),
        "notch": (48.5, 25.0, -19.0, 1.8),
        "coronoid": (46.5, 40.0, -1.0, 1.6),
        "fore_up": (44.5, 44.5, -20.0, 2.2),
        "fore": (37.5, 47.0, -38.0, 3.0),
        "retromolar": (30.0, 47.0, -50.0, 4.5),
        "ramus": (46.5, 27.0, -44.0, 2.4),
        "base1": (41.5 + wide / 2, 37.0, -78.0 - low / 3, 4.0),
        "base2": (33.5, 57.0, -81.0 - low / 2, 4.4),
        "base3": (22.0, 74.0, -85.0 - low, 4.8),
        "base4": (12.0, 83.0, -87.0 - low, 5.0),
        "base5": (0.0, 84.5, -87.0 - low, 5.0),
        "chin": (0.0, 87.5, -81.0 - low, 5.5),
        "chin_side": (9.0, 86.0, -84.0 - low, 4.5),
        "al0": (0.0, 80.5, -57.0, 3.6),
        "al1": (9.0, 78.5, -57.0, 3.8),
        "al2": (17.0, 71.5, -57.0, 4.2),
        "al3": (23.0, 60.0, -56.5, 4.8),
        "al4": (27.0, 48.0, -55.5, 5.0),
        "mid0": (0.0, 81.0, -70.0, 4.5),
        "mid1": (12.0, 78.5, -70.0, 4.4),
        "mid2": (22.0, 68.0, -69.0, 4.6),
        "mid3": (31.0, 53.0, -66.0, 5.2),
        "mid4": (36.0, 42.0, -60.0, 4.4),
    }
    plates = (
        "neck post notch", "post notch ramus", "post post_low ramus",
        "post_low gonion ramus", "notch coronoid fore_up", "notch fore_up ramus",
        "fore_up fore ramus", "fore ramus mid4", "ramus gonion mid4",
        "gonion base1 mid4", "base1 mid4 mid3", "base1 base2 mid3",
        "base2 mid3 mid2", "base2 base3 mid2", "base3 mid2 mid1",
        "base3 base4 mid1", "base4 mid1 mid0", "base4 base5 mid0",
        "mid0 mid1 al0", "mid1 al0 al1", "mid1 mid2 al1", "mid2 al1 al2",
        "mid2 mid3 al2", "mid3 al2 al3", "mid3 mid4 al3", "mid4 al3 al4",
        "mid4 al4 retromolar", "mid4 retromolar fore",
    )  # fmt: skip
    struts = (
        "condyle_out condyle_in", "condyle_out neck condyle_in",
        "chin chin_side base3", "chin mid0",
    )  # fmt: skip
    bones, ridges = ([n.split() for n in part] for part in (plates, struts))
    return Web(points, bones, ridges, curved=True)
