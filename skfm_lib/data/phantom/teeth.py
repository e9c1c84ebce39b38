"""The teeth of both jaws, one by one, along their arches (template millimetres)."""

from dataclasses import dataclass

import numpy as np

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import Point, SphereMesh, Superellipsoid

OCCLUSION = -44.0  # z of the plane where the crowns meet, mm
WISDOM_MISSING = 0.5  # share of wisdom teeth


@dataclass(frozen=True)
class DentalArch:
    """The teeth of one jaw along half an ellipse, mm."""

    sizes: tuple[tuple[float, float, float], ...]
    up: int  # +1 where roots point up, −1 where they point down
    gum: float  # z of the gum line
    half_width: float
    depth: float
    back: float  # y where the arch is widest

    def positions(self, arc: np.ndarray) -> tuple[np.ndarray, ...]:
        """x, y (mm) and heading (degrees) at arc lengths from the midline."""
        t = np.linspace(0, np.pi / 2, 400)
        x, y = self.half_width * np.sin(t), self.back + self.depth * np.cos(t)
        run = np.concatenate([[0], np.cumsum(np.hypot(np.diff(x), np.diff(y)))])
        heading = np.degrees(np.arctan2(np.gradient(y), np.gradient(x)))
        return tuple(np.interp(arc, run, values) for values in (x, y, heading))


# Mesiodistal width, depth and crown height of incisors (2), canine, premolars (2) and
# molars (3), mm: usual averages of dental anatomy.
UPPER_SIZES = (
    (8.5, 7.0, 10.5), (6.5, 6.0, 9.5), (7.5, 8.0, 10.5), (7.0, 9.0, 8.5),
    (7.0, 9.0, 8.5), (10.0, 10.5, 7.5), (9.5, 10.5, 7.0), (8.5, 10.0, 6.5),
)  # fmt: skip
LOWER_SIZES = (
    (5.2, 6.0, 9.0), (5.6, 6.3, 9.5), (7.0, 7.5, 11.0), (7.0, 7.5, 8.5),
    (7.2, 8.0, 8.0), (11.0, 10.0, 7.5), (10.5, 10.0, 7.0), (9.5, 9.5, 7.0),
)  # fmt: skip
UPPER_ARCH = DentalArch(UPPER_SIZES, 1, -35.0, 24.5, 43.0, 43.0)
LOWER_ARCH = DentalArch(LOWER_SIZES, -1, -53.0, 24.0, 40.0, 42.5)


def add_teeth(
    field: BoneField, seed: int, measures: Craniometry, arch: DentalArch
) -> None:
    """Add crowns on roots, with individual wear and tilt; each tooth may be lost."""
    rng = np.random.default_rng([seed, 3 + arch.up])
    sizes = np.array(arch.sizes)
    missing = rng.random((2, len(sizes))) < measures.tooth_loss
    missing[:, -1] |= rng.random(2) < WISDOM_MISSING
    if missing.all():
        return
    wear = rng.uniform(0, 1.2)
    tilt = rng.normal(0, 3.0, missing.shape)
    x, y, heading = arch.positions(np.cumsum(sizes[:, 0]) - sizes[:, 0] / 2)
    bite = OCCLUSION + arch.up * (wear / 2 - 0.3)  # opposing crowns touch
    neck = arch.gum + arch.up * 2.0
    roots: dict[str, Point] = {}
    crowns = []
    for side, i in zip(*np.nonzero(~missing)):
        sign = 1 - 2 * side
        width, depth, _ = sizes[i]
        thick = depth / 2 * (1.0 if i >= 3 else 0.62)  # front crowns are blades
        centre = (sign * x[i], y[i], (bite + neck) / 2)
        radii = (width / 2 - 0.25, thick, abs(bite - neck) / 2)
        yaw = sign * heading[i] + tilt[side, i]
        crowns.append(Superellipsoid(centre, radii, yaw, 4))
        tip = (sign * x[i] * 0.98, y[i] - 1.5, arch.gum + 9.0 * arch.up, 1.8)
        roots[f"{side}{i}neck"] = (*centre[:2], arch.gum + arch.up, width * 0.36)
        roots[f"{side}{i}tip"] = tip
    chains = [f"{name[:2]}neck {name}" for name in roots if name.endswith("tip")]
    field.add(SphereMesh(roots, struts=", ".join(chains)), 1.5, midline=True)
    for crown in crowns:
        field.add(crown, 1.0, midline=True, enamel=True)
