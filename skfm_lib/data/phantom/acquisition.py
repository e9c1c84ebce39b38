"""A CT scan of a phantom: tissues, point spread, slices, noise and metal, in HU."""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from scipy import ndimage

from skfm_lib.data.phantom import scanner
from skfm_lib.data.phantom.cranium import EAR_CANAL, ETHMOID
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.face import orbit
from skfm_lib.data.phantom.modelling import bones
from skfm_lib.data.phantom.primitives import SphereMesh, Superellipsoid, spheres
from skfm_lib.data.phantom.scanner import FWHM, Scanner
from skfm_lib.data.phantom.template import Coordinates
from skfm_lib.data.voxels import Grid

SLAB_POINTS = 1 << 19  # lattice points modelled at a time; bounds the memory
WORKERS = 2
CORTEX, DIPLOE = 1.5, 700.0  # mm; HU of the spongy bone that is deeper
SKIN = 6.0  # mm of soft tissue over bone
REACH = 3.0  # mm above and below a filling that its streaks reach
RAYS = 48  # directions of streaks
STREAK, FADE = 900.0, 25.0  # HU, standard deviation next to the metal; mm
# The air of nose, throat and maxillary sinuses, and the soft tissue of face and neck.
AIRWAY = SphereMesh(
    spheres("""
        nostril 5 92 -10 3, fore 6 78 -7 6, back 6 50 -7 6, up 4 74 12 4,
        throat 0 34 -12 7, low 0 27 -45 7, end 0 27 -130 7
    """),
    struts="nostril fore back throat low end, fore up back",
)
ANTRUM = SphereMesh(
    spheres("fore 24 71 -7 6, back 25 57 -5 6.5, low 23 62 -12 6, side 34 66 -5 4.5"),
    plates="fore back low, fore back side, fore side low, back side low",
)
FACE = Superellipsoid((0, 36, -15), (66, 62, 95))
NECK = Superellipsoid((0, -5, -110), (62, 62, 110))


class Scan(NamedTuple):
    """A scan in the slices it was made in.

    Attributes:
        values: HU, float32 (D, H, n) = (y, x, z).
        z: of the n slices, mm.
    """

    values: np.ndarray
    z: np.ndarray


def acquire(seed: int, quality: int, grid: Grid, settings: Scanner) -> Scan:
    """The scan of an individual; its pixels are those of the grid, its slices not.

    The tissues are sampled on the grid, each voxel with its fraction of bone, blurred
    in the slices by a Gaussian, averaged over the thickness of each slice, and given
    noise and, if there is metal, streaks.
    """
    x, y, z = grid.axes()
    volume = np.full(grid.shape, scanner.AIR, np.float32)
    rows = max(1, min(len(y), SLAB_POINTS // (len(x) * len(z))))

    def fill(start: int) -> None:
        axes = (x, y[start : start + rows], z)
        _tissues(volume[start : start + rows], seed, quality, axes, grid.spacing)

    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(fill, range(0, len(y), rows)))
    fillings = _fillings(volume, seed, settings.metal)
    # A voxel is itself a box of its spacing.
    variance = (settings.blur / FWHM) ** 2 - grid.spacing**2 / 12
    sigma = np.sqrt(max(variance, 0)) / grid.spacing
    ndimage.gaussian_filter(volume, (sigma, sigma, 0), output=volume, truncate=3)
    weights, centres = _slices(z, max(settings.slice, grid.spacing))
    values = volume @ weights
    rng = np.random.default_rng([seed, 9])
    for row in values:
        row += settings.noise * rng.standard_normal(row.shape, np.float32)
    for filling in fillings:
        _add_streaks(values, (x, y, centres), grid, filling, rng)
    return Scan(values, centres)


def _tissues(
    volume: np.ndarray, seed: int, quality: int, axes: Coordinates, spacing: float
) -> None:
    """Set the CT numbers of some slices, HU; what is not scanned stays as it is."""
    if (model := bones(seed, quality, axes, spacing)) is None:
        return
    field = model.field
    bone = field.fraction()
    around = _around(field)
    depth = np.clip((-field.bone[0] - CORTEX) / np.float32(CORTEX), 0, 1)
    density = scanner.BONE - np.float32(scanner.BONE - DIPLOE) * depth
    density[field.enamel < 0] = scanner.ENAMEL
    values = around + bone * (density - around)
    volume[model.box][model.scanned] = values[model.scanned]


def _around(field: BoneField) -> np.ndarray:
    """CT numbers of what surrounds the bones, HU."""
    body = np.minimum(field.bone[0], field.braincase) - np.float32(SKIN)
    for solid in (FACE, NECK):
        body = np.minimum(body, field.distance(solid, midline=True))
    around = np.where(body < 0, np.float32(scanner.SOFT), np.float32(scanner.AIR))
    around[field.distance(AIRWAY) < 0] = scanner.AIR
    around[field.distance(ANTRUM) < 0] = scanner.AIR
    around[field.distance(EAR_CANAL) < 0] = scanner.AIR
    around[field.distance(ETHMOID, midline=True) < 0] = scanner.AIR
    around[field.air < 0] = scanner.AIR
    around[(field.distance(orbit()) < 0) & (body < 0)] = scanner.FAT
    around[field.braincase < 0] = scanner.BRAIN
    return around


def _slices(z: np.ndarray, thickness: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights (nz, n) that average voxels over slices, and the slices' z (n,), mm."""
    spacing = float(z[1] - z[0])
    low, high = float(z[0]) - spacing / 2, float(z[-1]) + spacing / 2
    count = int((high - low) / thickness + 1e-6)
    edges = low + thickness * np.arange(count + 1)
    # The share of every voxel below each edge; its differences lie within a slice.
    below = np.clip((edges - z[:, None]) / spacing + 0.5, 0, 1)
    weights = np.diff(below, axis=1) * (spacing / thickness)
    return weights.astype(np.float32), (edges[1:] + edges[:-1]) / 2


def between(z: np.ndarray, slices: np.ndarray) -> np.ndarray:
    """Weights (n, nz) that interpolate linearly from slices to z; ends repeat."""
    step = slices[1] - slices[0]
    at = np.clip((z - slices[0]) / step, 0, len(slices) - 1)
    weights = np.maximum(1 - np.abs(at[None] - np.arange(len(slices))[:, None]), 0)
    return weights.astype(np.float32)


def _fillings(volume: np.ndarray, seed: int, count: int) -> np.ndarray:
    """Indices (≤ count, 3) of voxels of enamel that hold metal, which they get."""
    enamel = np.argwhere(volume > (scanner.BONE + scanner.ENAMEL) / 2)
    if not count or not len(enamel):
        return np.empty((0, 3), int)
    chosen = enamel[np.random.default_rng([seed, 10]).integers(len(enamel), size=count)]
    for i, j, k in chosen:
        volume[i - 2 : i + 3, j - 2 : j + 3, k - 2 : k + 3] = scanner.METAL
    return chosen


def _add_streaks(
    values: np.ndarray,
    axes: Coordinates,
    grid: Grid,
    filling: np.ndarray,
    rng: np.random.Generator,
) -> None:
    """Add the bright and dark rays of a filling to the slices that cross it."""
    x, y, z = axes
    at = grid.to_mm(filling[None])[0]
    near = np.abs(z - at[2]) <= REACH
    right, fore = x[None, :] - at[0], y[:, None] - at[1]
    angle = (np.arctan2(fore, right) / (2 * np.pi) * RAYS) % RAYS
    rays = rng.standard_normal(RAYS)
    height = np.interp(angle, np.arange(RAYS + 1), np.append(rays, rays[0]))
    streaks = STREAK * height * np.exp(-np.hypot(right, fore) / FADE)
    values[:, :, near] += streaks[..., None].astype(np.float32)
