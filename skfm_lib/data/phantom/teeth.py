"""The teeth of both jaws, one by one, along their arches (template millimetres)."""

from dataclasses import dataclass

import numpy as np

from skfm_lib.data.phantom.distance_field import Clay
from skfm_lib.data.phantom.primitives import Pebble, Point, Web

# Mesiodistal width, depth and crown height of incisors (2), canine, premolars (2) and
# molars (3), mm: usual averages of dental anatomy.
UPPER = (
    (8.5, 7.0, 10.5), (6.5, 6.0, 9.5), (7.5, 8.0, 10.5), (7.0, 9.0, 8.5),
    (7.0, 9.0, 8.5), (10.0, 10.5, 7.5), (9.5, 10.5, 7.0), (8.5, 10.0, 6.5),
)  # fmt: skip
LOWER = (
    (5.2, 6.0, 9.0), (5.6, 6.3, 9.5), (7.0, 7.5, 11.0), (7.0, 7.5, 8.5),
    (7.2, 8.0, 8.0), (11.0, 10.0, 7.5), (10.5, 10.0, 7.0), (9.5, 9.5, 7.0),
)  # fmt: skip
OCCLUSION = -44.0  # z of the plane where the crowns meet, mm
# Share of teeth lost, and how often a mouth is so: sound, gap-toothed, ruined.
LOSS = ((0.0, 0.6), (0.03, 0.3), (0.25, 0.1))


@dataclass(frozen=True)
class Row:
    """One jaw's row: crown sizes, direction of the roots, gum level, arch, mm."""

    sizes: tuple
    up: int  # +1 where roots point up
    gum: float
    half_width: float
    depth: float
    back: float  # y of the widest place

    def stand(self, distance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """x, y (mm) and heading (degrees) at arc lengths from the midline."""
        t = np.linspace(0, np.pi / 2, 400)
        x, y = self.half_width * np.sin(t), self.back + self.depth * np.cos(t)
        run = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        heading = np.degrees(np.arctan2(np.gradient(y), np.gradient(x)))
        return tuple(np.interp(distance, run, v) for v in (x, y, heading))


UPPER_ROW = Row(UPPER, 1, -35.0, 24.5, 43.0, 43.0)
LOWER_ROW = Row(LOWER, -1, -53.0, 24.0, 40.0, 42.5)


def add_teeth(clay: Clay, seed: int, row: Row) -> None:
    """Crowns on roots; all somewhat worn, now and then one missing."""
    rng = np.random.default_rng([seed, 3 + row.up])
    sizes = np.array(row.sizes)
    loss, often = zip(*LOSS)
    missing = rng.random((2, len(sizes))) < rng.choice(loss, p=often)
    missing[:, -1] |= rng.random(2) < 0.5  # wisdom teeth
    wear = rng.uniform(0, 1.2)
    tilt = rng.normal(0, 3.0, missing.shape)
    middle = np.cumsum(sizes[:, 0]) - sizes[:, 0] / 2
    x, y, heading = row.stand(middle)
    roots: dict[str, Point] = {}
    crowns = []
    for side, i in zip(*np.nonzero(~missing)):
        sign = 1 - 2 * side
        at, yaw = (sign * x[i], y[i]), sign * heading[i] + tilt[side, i]
        crowns.append(_crown(row, at, yaw, sizes[i], i, wear))
        roots |= _root(row, at, sizes[i], f"{side}{i}")
    chains = [(f"{name}neck", f"{name}tip") for name in {k[:2] for k in roots}]
    clay.add(Web(roots, struts=sorted(chains)), 1.5, midline=True)
    for crown in crowns:
        clay.add(crown, 1.0, midline=True)


def _crown(
    row: Row,
    at: tuple[float, float],
    yaw: float,
    size: np.ndarray,
    place: int,
    wear: float,
) -> Pebble:
    width, depth, _ = size
    bite = OCCLUSION + row.up * (wear / 2 - 0.3)  # opposing crowns touch
    neck = row.gum + row.up * 2.0
    thick = depth / 2 * (1.0 if place >= 3 else 0.62)  # front crowns are blades
    centre = (at[0], at[1], (bite + neck) / 2)
    return Pebble(centre, (width / 2 - 0.25, thick, abs(bite - neck) / 2), yaw, 4)


def _root(
    row: Row, at: tuple[float, float], size: np.ndarray, name: str
) -> dict[str, Point]:
    x, y = at
    gum = row.gum
    return {
        f"{name}neck": (x, y, gum + row.up, size[0] * 0.36),
        f"{name}tip": (x * 0.98, y - 1.5, gum + 9.0 * row.up, 1.8),
    }
