"""Defects: cuboids cut out of skulls (paper §4.3, after Mazzocchetti et al. 2024)."""

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from skfm_lib.utils.errors import SkfmError

SIDES = (30.0, 100.0)  # mm; "cuboids sized between 3 cm and 10 cm"
SHARES = (0.02, 0.3)  # of the points inside a defect: neither a chip nor half a skull
TRIES = 1000


@dataclass(frozen=True)
class Cuboid:
    """A box in any pose, mm.

    Attributes:
        centre: (3,).
        half: half the length of its sides (3,).
        axes: unit vectors along its sides, as rows (3, 3).

    >>> box = Cuboid(np.zeros(3), np.array([10.0, 20.0, 30.0]), np.eye(3))
    >>> box.contains(np.array([[9.0, 0, 0], [11.0, 0, 0]]))
    array([ True, False])
    """

    centre: np.ndarray
    half: np.ndarray
    axes: np.ndarray

    def contains(self, points: np.ndarray, margin: float = 0.0) -> np.ndarray:
        """Which of the points (n, 3) lie inside, or within `margin` mm of a side."""
        offsets = np.abs((points - self.centre) @ self.axes.T)
        return (offsets <= self.half + margin).all(axis=1)


def draw_defect(points: np.ndarray, seed: int) -> Cuboid:
    """Sample a cuboid in a random pose, centred on one of the points (n, 3), mm.

    Every side is U(30, 100) mm.  Cuboids are rejected until one contains a share of
    the points within SHARES.

    Raises:
        SkfmError: where none of TRIES cuboids does.
    """
    rng = np.random.default_rng(seed)
    for _ in range(TRIES):
        centre = points[rng.integers(len(points))]
        axes = Rotation.random(None, rng).as_matrix()
        cuboid = Cuboid(centre, rng.uniform(*SIDES, 3) / 2, axes)
        if SHARES[0] <= cuboid.contains(points).mean() <= SHARES[1]:
            return cuboid
    raise SkfmError(
        f"none of {TRIES} cuboids contains {SHARES[0]:.0%} to {SHARES[1]:.0%} of it",
        "a cloud of the size of a skull, in mm",
        "check its unit and look for points far outside",
    )
