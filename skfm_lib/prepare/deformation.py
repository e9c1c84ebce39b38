"""Smooth random maps of space that never fold: one skull's shape made another's."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

STEP, REACH = 8.0, 160.0  # mm between the lattice's points, and from 0 to its border
LENGTH = 35.0  # mm over which the flow stays alike: a brow, a cheek, a temple
FLOW = 3.0  # mm, root mean square of the flow along each axis
STRETCH = 0.03  # standard deviation of each axis' stretch; of heads it is about 0.04
ASYMMETRY = 0.3  # of what differs between the sides, this much is kept
HALVINGS = 6  # of the flow before it is composed with itself as often
MOST = 1.6  # times that any part may grow or shrink in volume
CALMER = 0.8  # a flow beyond that is taken so many times as strong


@dataclass(frozen=True)
class Warp:
    """A diffeomorphism x → x + shift(x), known on a lattice in the skull frame.

    shift     (3, n, n, n) mm, along x, y, z
    jacobian  least and greatest determinant of its derivative: > 0, it does not fold
    """

    shift: np.ndarray
    jacobian: tuple[float, float]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The points (m, 3), mm, moved."""
        return points + _between(self.shift, (points.T + REACH) / STEP).T


def random_warp(rng: np.random.Generator) -> Warp:
    """A draw: smooth noise and a stretch along the axes, as a flow followed for a unit.

    A stationary flow's map is a diffeomorphism (Arsigny et al. 2006).  Its determinant
    is measured all the same, and the flow taken CALMER until no part grows or shrinks
    by more than MOST.
    """
    flow = _flow(rng)
    while True:
        warp = followed(flow)
        low, high = warp.jacobian
        if low >= 1 / MOST and high <= MOST:
            return warp
        flow = CALMER * flow


def followed(flow: np.ndarray) -> Warp:
    """The map after a unit of time in a flow (3, n, n, n), mm, by squaring.

    The map after 2⁻ᵏ is nearly the flow's share itself; composed with itself k times
    it is that of the whole.
    """
    shift, at = flow / 2**HALVINGS, _lattice() / STEP + REACH / STEP
    for _ in range(HALVINGS):
        shift = shift + _between(shift, at + shift / STEP)
    rates = np.stack([np.gradient(part, STEP) for part in shift])
    matrices = np.moveaxis(rates, (0, 1), (-2, -1)) + np.eye(3)
    determinants = np.linalg.det(matrices)
    return Warp(shift, (float(determinants.min()), float(determinants.max())))


def _flow(rng: np.random.Generator) -> np.ndarray:
    """Noise, alike on both sides for the most part, and a stretch about the origin."""
    places = _lattice()
    noise = rng.standard_normal(places.shape)
    noise = np.stack([gaussian_filter(part, LENGTH / STEP) for part in noise])
    mirrored = noise[:, ::-1] * np.array([-1, 1, 1]).reshape(3, 1, 1, 1)
    even, odd = (noise + mirrored) / 2, (noise - mirrored) / 2
    noise = even + ASYMMETRY * odd
    noise *= FLOW / np.sqrt((noise**2).mean())
    return noise + rng.normal(0, STRETCH, (3, 1, 1, 1)) * places


def _lattice() -> np.ndarray:
    """Places (3, n, n, n) of the lattice's points, mm."""
    line = np.arange(-REACH, REACH + STEP / 2, STEP)
    return np.stack(np.meshgrid(line, line, line, indexing="ij"))


def _between(shift: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The shift at fractional indices (3, …); beyond the border that of the border."""
    return np.stack([map_coordinates(s, index, order=1, mode="nearest") for s in shift])
