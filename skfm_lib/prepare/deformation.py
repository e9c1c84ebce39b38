"""Smooth random deformations without folds, to vary the shape of a skull."""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

STEP, REACH = 8.0, 160.0  # mm: spacing of the lattice, and half of its extent
SMOOTHING = 35.0  # mm, standard deviation of the Gaussian: a brow, a cheek, a temple
FLOW = 3.0  # mm, root mean square of the velocity along each axis
STRETCH = 0.03  # standard deviation of the scale of each axis; of heads about 0.04
ASYMMETRY = 0.3  # factor on the part of the velocity that differs between the sides
SQUARINGS = 6  # number of times that the map is composed with itself
MAX_CHANGE = 1.6  # factor by which the volume of any part may grow or shrink
DAMPING = 0.8  # factor on a velocity that exceeds it


@dataclass(frozen=True)
class Warp:
    """A diffeomorphism ``x → x + shift(x)``, sampled on a lattice in the skull frame.

    `shift` (3, n, n, n) is in mm along x, y, z; `jacobian` the least and the greatest
    Jacobian determinant, positive without folds.
    """

    shift: np.ndarray
    jacobian: tuple[float, float]

    def __call__(self, points: np.ndarray) -> np.ndarray:
        """The deformed points (m, 3), mm."""
        return points + _interpolate(self.shift, (points.T + REACH) / STEP).T


def random_warp(rng: np.random.Generator) -> Warp:
    """Sample a deformation: the flow of smooth noise and a scaling of the axes.

    The flow of a stationary velocity field is a diffeomorphism (Arsigny et al. 2006);
    discretised, it need not be.  Its Jacobian determinant is computed, and the velocity
    damped until no part grows or shrinks by more than MAX_CHANGE.
    """
    velocity = _velocity(rng)
    while True:
        warp = integrate(velocity)
        low, high = warp.jacobian
        if low >= 1 / MAX_CHANGE and high <= MAX_CHANGE:
            return warp
        velocity = DAMPING * velocity


def integrate(velocity: np.ndarray) -> Warp:
    """The flow of a velocity field (3, n, n, n), mm, for unit time, by squaring."""
    # One Euler step of 2⁻ᵏ, composed with itself k times.
    shift, index = velocity / 2**SQUARINGS, (_lattice() + REACH) / STEP
    for _ in range(SQUARINGS):
        shift = shift + _interpolate(shift, index + shift / STEP)
    gradients = np.stack([np.gradient(part, STEP) for part in shift])
    jacobians = np.moveaxis(gradients, (0, 1), (-2, -1)) + np.eye(3)
    determinants = np.linalg.det(jacobians)
    return Warp(shift, (float(determinants.min()), float(determinants.max())))


def _velocity(rng: np.random.Generator) -> np.ndarray:
    """Smooth, mostly symmetric noise, and a scaling about the origin."""
    lattice = _lattice()
    noise = rng.standard_normal(lattice.shape)
    noise = np.stack([gaussian_filter(part, SMOOTHING / STEP) for part in noise])
    mirrored = noise[:, ::-1] * np.array([-1, 1, 1]).reshape(3, 1, 1, 1)
    even, odd = (noise + mirrored) / 2, (noise - mirrored) / 2
    noise = even + ASYMMETRY * odd
    noise *= FLOW / np.sqrt((noise**2).mean())
    return noise + rng.normal(0, STRETCH, (3, 1, 1, 1)) * lattice


def _lattice() -> np.ndarray:
    """Coordinates (3, n, n, n) of the lattice's points, mm."""
    line = np.arange(-REACH, REACH + STEP / 2, STEP)
    return np.stack(np.meshgrid(line, line, line, indexing="ij"))


def _interpolate(shift: np.ndarray, index: np.ndarray) -> np.ndarray:
    """The shift at fractional indices (3, …), extrapolated by its border values."""
    return np.stack([map_coordinates(s, index, order=1, mode="nearest") for s in shift])
