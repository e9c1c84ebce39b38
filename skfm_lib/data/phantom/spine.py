"""The upper cervical spine: atlas, axis with its dens, and the vertebrae below."""

import numpy as np

from skfm_lib.data.phantom.clay import Clay
from skfm_lib.data.phantom.shapes import Pebble, Point, Web

ATLAS = Web(
    {
        "fore": (0.0, 10.0, -32.0, 4.0),
        "mass_fore": (14.0, 3.0, -32.0, 5.0),
        "mass": (19.0, -6.0, -33.0, 6.5),
        "wing": (36.0, -7.0, -34.0, 4.0),
        "arch": (20.0, -22.0, -33.0, 3.2),
        "back": (0.0, -36.0, -34.0, 4.0),
    },
    struts=[("fore", "mass_fore", "mass", "wing"), ("mass", "arch", "back")],
)
AXIS = Web(
    {
        "dens": (0.0, 2.0, -27.0, 4.0),
        "dens_low": (0.0, 2.0, -40.0, 5.2),
        "body": (0.0, 2.0, -52.0, 8.0),
        "mass": (16.0, -3.0, -44.0, 6.0),
        "pedicle": (18.0, -10.0, -50.0, 5.0),
        "arch": (14.0, -24.0, -52.0, 3.6),
        "back": (0.0, -36.0, -54.0, 4.4),
        "spine": (4.0, -46.0, -58.0, 3.4),
    },
    struts=[
        ("dens", "dens_low", "body"),
        ("dens_low", "mass", "pedicle", "arch", "back", "spine"),
        ("body", "mass"),
    ],
)
PITCH = 17.0  # mm from one vertebra to the next


def _lower(level: float, lean: float) -> Web:
    points: dict[str, Point] = {
        "body": (6.0, 1.0 + lean, level, 6.3),
        "body_side": (12.0, -1.0 + lean, level, 4.5),
        "mass_up": (20.0, -12.0 + lean, level + 6.0, 4.5),
        "mass": (20.0, -14.0 + lean, level - 6.0, 4.8),
        "arch": (13.0, -26.0 + lean, level - 3.0, 3.2),
        "back": (0.0, -34.0 + lean, level - 5.0, 3.6),
        "spine": (2.5, -46.0 + lean, level - 10.0, 3.0),
    }
    struts = [
        ("body", "body_side", "mass", "mass_up"),
        ("body_side", "mass_up"),
        ("mass", "arch", "back", "spine"),
    ]
    return Web(points, struts=struts)


def add_spine(clay: Clay, seed: int) -> None:
    """Vertebrae from the atlas down to the edge of the field of view."""
    curve = np.random.default_rng([seed, 5]).normal(0, 1.5)
    clay.add(ATLAS, 2)
    clay.add(AXIS, 2)
    for n in range(1, 6):
        lean = -0.6 * n + curve * n * (4 - n) / 4
        clay.add(_lower(-52.0 - PITCH * n, lean), 3)
