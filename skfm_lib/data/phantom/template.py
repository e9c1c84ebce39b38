"""The map from an individual's coordinates to those of the template skull."""

import numpy as np

from skfm_lib.data.phantom.craniometry import Craniometry

Coordinates = tuple[np.ndarray, ...]  # x, y, z, mm
# The template's own measures, mm.
LENGTH, BREADTH, HEIGHT, BIZYGOMATIC, FACE = 191.0, 141.8, 145.0, 137.0, 67.0
NASION_Z = 30.0  # the scale of the face applies below it, that of the vault above


def pose(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """The residual pose of a scan: rotation matrix (3, 3) and shift (3,), mm.

    Expert alignment leaves a rotation of about 1° about x, y and z, and about 1 mm.
    """
    rng = np.random.default_rng([seed, 1])
    angles = np.deg2rad(rng.normal(0, 1.0, 3).clip(-2, 2))
    (ca, cb, cc), (sa, sb, sc) = np.cos(angles), np.sin(angles)
    about_x = np.array([[1, 0, 0], [0, ca, -sa], [0, sa, ca]])
    about_y = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    about_z = np.array([[cc, -sc, 0], [sc, cc, 0], [0, 0, 1]])
    shift = rng.normal(0, 0.8, 3).clip(-1.6, 1.6)
    rotation = about_z @ about_y @ about_x
    return rotation.astype(np.float32), shift.astype(np.float32)


def upright(seed: int, axes: Coordinates) -> Coordinates:
    """Lattice coordinates (D, W, H) relative to the head: the residual pose undone.

    `axes` are the x (W), y (D) and z (H) values of the lattice, mm.
    """
    matrix, shift = pose(seed)
    x, y, z = (c - s for c, s in zip(axes, shift))
    x, y, z = x[None, :, None], y[:, None, None], z[None, None, :]
    return tuple(x * m[0] + (y * m[1] + z * m[2]) for m in matrix.T)


def to_template(seed: int, measures: Craniometry, head: Coordinates) -> np.ndarray:
    """Template coordinates (3, …) of an individual's: size and asymmetry undone, mm."""
    x, y, z = _undo_shape(seed, *head)
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
    return np.stack([x, y, z])


def _step(low: float, high: float, value: np.ndarray) -> np.ndarray:
    """Smoothstep from 0 at `low` to 1 at `high`."""
    t = np.clip((value - np.float32(low)) / np.float32(high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _undo_shape(seed: int, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> Coordinates:
    """Undo individual shape: low-order fields that preserve length and breadth.

    The odd terms make left and right differ by about a millimetre.
    """
    rng = np.random.default_rng([seed, 2])
    odd = rng.normal(0, 1.2, 7).clip(-2.4, 2.4).astype(np.float32)
    even = rng.normal(0, 2.5, 3).clip(-5, 5).astype(np.float32)
    u, v, w = (c * np.float32(0.01) for c in (x, y, z))
    dx = v * (odd[0] * v + odd[1] * w) + odd[2] * w * w
    dy = u * (odd[3] * v + odd[4] * w)
    dz = u * (odd[5] + odd[6] * v)
    arch = w - np.float32(0.4)  # zero at the level of glabella and opisthocranion
    dx = dx + even[0] * u * (v + np.float32(0.17))
    dy = dy + w * arch * (even[1] + even[2] * v)
    return x + dx, y + dy, z + dz
