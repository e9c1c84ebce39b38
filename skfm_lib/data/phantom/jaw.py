"""The mandible, and the teeth of both jaws.

Template millimetres, right side; the jaws' teeth stand along one parabola-like arch.
"""

import numpy as np

from skfm_lib.data.phantom.clay import Clay
from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.individual import BIZYGOMATIC
from skfm_lib.data.phantom.shapes import Pebble, Point, Web

OCCLUSION = -44.0  # mm, the plane where the crowns meet
UPPER_GUM, LOWER_GUM = -36.0, -52.0  # mm, alveolar margins
# Mesiodistal width, depth, crown height of incisors (2), canine, premolars (2) and
# molars (3): standard dental-anatomy averages, mm.
UPPER_TEETH = (
    (8.5, 7.0, 10.5), (6.5, 6.0, 9.5), (7.5, 8.0, 10.5), (7.0, 9.0, 8.5),
    (7.0, 9.0, 8.5), (10.0, 10.5, 7.5), (9.5, 10.5, 7.0), (8.5, 10.0, 6.5),
)  # fmt: skip
LOWER_TEETH = (
    (5.2, 6.0, 9.0), (5.6, 6.3, 9.5), (7.0, 7.5, 11.0), (7.0, 7.5, 8.5),
    (7.2, 8.0, 8.0), (11.0, 10.0, 7.5), (10.5, 10.0, 7.0), (9.5, 9.5, 7.0),
)  # fmt: skip
ARCH = (25.5, 43.0)  # half-width and depth of the dental arch, mm
ARCH_BACK = 45.0  # y of its widest place, mm


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
        "post_low": (49.0 + wide, 11.0 + open_ / 2, -52.0, 3.2),
        "gonion": (46.5 + wide, 19.0 + open_, -64.0 + open_ / 2, 3.6),
        "notch": (48.5, 24.0, -20.0, 1.8),
        "coronoid": (46.0, 39.0, -4.0, 1.6),
        "fore_up": (44.5, 44.5, -20.0, 2.2),
        "fore": (37.5, 47.0, -38.0, 3.0),
        "retromolar": (30.0, 47.0, -50.0, 4.5),
        "ramus": (46.5, 27.0, -40.0, 2.4),
        "base1": (40.0 + wide / 2, 38.0, -73.0 - low / 3, 4.2),
        "base2": (32.0, 58.0, -79.0 - low / 2, 4.4),
        "base3": (20.0, 76.0, -85.0 - low, 4.8),
        "base4": (9.0, 83.5, -87.0 - low, 5.0),
        "base5": (0.0, 84.5, -87.0 - low, 5.0),
        "chin": (0.0, 87.5, -81.0 - low, 5.5),
        "chin_side": (8.0, 86.0, -84.0 - low, 4.5),
        "al0": (0.0, 80.5, -57.0, 3.6),
        "al1": (9.0, 78.5, -57.0, 3.8),
        "al2": (17.0, 71.5, -57.0, 4.2),
        "al3": (23.0, 60.0, -56.5, 4.8),
        "al4": (27.0, 48.0, -55.5, 5.0),
        "mid0": (0.0, 81.0, -70.0, 4.5),
        "mid1": (11.0, 78.5, -70.0, 4.4),
        "mid2": (22.0, 68.0, -69.0, 4.6),
        "mid3": (30.0, 54.0, -66.0, 5.2),
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
        "mid4 al4 retromolar", "mid4 retromolar fore", "chin chin_side base5",
        "chin_side base4 base5", "chin chin_side mid0", "chin_side mid1 mid0",
    )  # fmt: skip
    struts = ("condyle_out condyle_in", "condyle_out neck condyle_in",
              "chin_side base3")  # fmt: skip
    return Web(points, [p.split() for p in plates], [s.split() for s in struts])


def arch(distance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y (mm) and heading (degrees) at arc lengths from the midline."""
    t = np.linspace(0, np.pi / 2, 400)
    x, y = ARCH[0] * np.sin(t), ARCH_BACK + ARCH[1] * np.cos(t)
    run = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
    heading = np.degrees(np.arctan2(np.gradient(y), np.gradient(x)))
    return tuple(np.interp(distance, run, v) for v in (x, y, heading))


def add_teeth(clay: Clay, seed: int, who: Craniometry, upper: bool) -> None:
    """Crowns with roots, one by one; some worn, now and then one missing."""
    rng = np.random.default_rng([seed, 3 if upper else 4])
    sizes = np.array(UPPER_TEETH if upper else LOWER_TEETH)
    middle = np.cumsum(sizes[:, 0]) - sizes[:, 0] / 2
    inward = 0.0 if upper else 1.5  # the upper arch bites outside the lower
    wear = rng.uniform(0, 1.2)
    missing = rng.random((2, len(sizes))) < rng.choice([0.0, 0.03, 0.25], p=[0.6, 0.3, 0.1])
    missing[:, -1] |= rng.random(2) < 0.5  # wisdom teeth
    x, y, heading = arch(middle)
    for side, gone in zip((1, -1), missing):
        for i in np.flatnonzero(~gone):
            normal = np.deg2rad(heading[i] + 90)
            at = (
                x[i] - inward * np.cos(normal),
                y[i] - inward * np.sin(normal),
            )
            _add_tooth(clay, at, heading[i], sizes[i], upper, wear, side)


def _add_tooth(
    clay: Clay,
    at: tuple[float, float],
    heading: float,
    size: np.ndarray,
    upper: bool,
    wear: float,
    side: int,
) -> None:
    width, depth, height = size
    up = 1 if upper else -1
    gum = UPPER_GUM if upper else LOWER_GUM
    bite = OCCLUSION - 0.3 * up  # opposing crowns touch
    tip, neck = bite + wear * up / 2, gum + 2.0 * up
    front = width < 8.0 or depth < 7.5
    crown = Pebble(
        (at[0], at[1], (tip + neck) / 2),
        (width / 2 - 0.3, depth / 2 * (0.75 if front else 1.0), abs(tip - neck) / 2),
        yaw=heading,
        power=4,
    )
    root = Web(
        {
            "neck": (at[0], at[1], neck - up, width * 0.36),
            "root": (at[0] * 0.97, at[1] - 2.0, gum + 9.0 * up, 1.8),
        },
        struts=[("neck", "root")],
    )
    clay.add(root, 1.5, (side,))
    clay.add(crown, 1.0, (side,))
