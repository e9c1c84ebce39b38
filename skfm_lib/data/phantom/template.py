"""The map from an individual's coordinates to those of the template skull."""

from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from skfm_lib.data.phantom.craniometry import Craniometry
from skfm_lib.data.phantom.variation import vary

Coordinates = tuple[np.ndarray, ...]  # x, y, z, mm
# The template's own measures, mm.
LENGTH, BREADTH, HEIGHT, BIZYGOMATIC, FACE = 193.0, 141.9, 142.5, 137.0, 67.0
RESIDUAL = 1.15  # degrees and mm; 2/√3
NASION_Z = 30.0  # the scale of the face applies below it, that of the vault above


def pose(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The residual pose of a scan: rotation matrix (3, 3) and shift (3,), mm.

    Two alignments of one head by experts differ by 2° and 2 mm in all (Cevidanes et al.
    2009, Angle Orthod 79:971), so by RESIDUAL about and along each axis.
    """
    rng = np.random.default_rng([seed, 1])
    angles, shift = rng.standard_normal((2, 3)).clip(-2, 2) * RESIDUAL
    rotation = Rotation.from_euler("xyz", angles, degrees=True).as_matrix()
    return rotation.astype(np.float32), shift.astype(np.float32)


def upright(seed: int, axes: Coordinates) -> Coordinates:
    """Lattice coordinates (D, W, H) relative to the head: the residual pose undone.

    `axes` are the x (W), y (D) and z (H) values of the lattice, mm.
    """
    matrix, shift = pose(seed)
    x, y, z = (c - s for c, s in zip(axes, shift))
    x, y, z = x[None, :, None], y[:, None, None], z[None, None, :]
    return tuple(x * m[0] + (y * m[1] + z * m[2]) for m in matrix.T)


class Individual(NamedTuple):
    """An individual's points on the template.

    Attributes:
        points: template coordinates (3, …), float32, mm.
        thickening: standard deviations (…) by which the bone is thicker there.
    """

    points: np.ndarray
    thickening: np.ndarray


def to_template(seed: int, measures: Craniometry, head: Coordinates) -> np.ndarray:
    """Template coordinates (3, …) of an individual's: size and shape undone, mm."""
    return individual(seed, measures, head).points


def individual(seed: int, measures: Craniometry, head: Coordinates) -> Individual:
    """The points `head` (x, y, z; mm) of individual `seed` on the template."""
    x, y, z = head
    face = _step(5, 30, y) * (1 - _step(15, 45, z))
    wide = np.float32(BREADTH / measures.breadth)
    x = x * (wide + face * np.float32(BIZYGOMATIC / measures.bizygomatic - wide))
    tall = np.float32(HEIGHT / measures.height)
    front = np.float32(FACE / measures.face_height)
    low = np.minimum(z, np.float32(NASION_Z / front))
    fore = low * front + (z - low) * tall
    z = z * tall + _step(15, 55, y) * (fore - z * tall)
    jaws = _step(20, 60, y) * _step(5, -40, z)
    y = y * np.float32(LENGTH / measures.length)
    y = y - np.float32(measures.prognathism) * jaws
    return Individual(*vary(seed, np.stack([x, y, z]).astype(np.float32)))


def _step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Smoothstep from 0 at `low` to 1 at `high`."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)
