"""The cranial vault seen from within: a map of it, and its holes (Fig. 4b)."""

from functools import lru_cache

import numpy as np

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.ray_casting import Rays, openings

CENTRE = np.array([0.0, 0.0, 45.0])  # mm, inside the braincase; the vertex is near 120
LOWEST = np.deg2rad(100.0)  # from the zenith: 10° below the horizon, above the orbits
PIXELS = 61  # across the map: 4 mm apart on the vault, as voxels at preset quick
NEAREST, FARTHEST = 20.0, 135.0  # mm from the centre: all vaults lie between
TILTS = np.tan(np.deg2rad(np.arange(-16.0, 17.0, 4.0)))  # of a scan's upper border
LEAST_CUT = 40.0  # cm²; a border cuts off more, a hole is smaller
RIM = 5.0  # mm next to the border that do not count: vaults differ by as much
GAP = 2  # rays, 8 mm; narrower gaps are noise of the grid
FINELY = 0.25  # voxels between the samples of a ray, for holes
OFTEN = 0.05  # least fraction of a score's training skulls that are cut


@lru_cache(maxsize=1)
def directions() -> tuple[np.ndarray, np.ndarray, float]:
    """Unit vectors (61, 61, 3), which of them are on the map, and their solid angle.

    Lambert's azimuthal equal-area projection about the zenith: a direction at angle α
    from it has radius ``2 sin(α / 2)``, so that all pixels have the same solid angle.
    Rows run left to right, columns back to front.
    """
    edge = 2 * np.sin(LOWEST / 2)
    axis = np.linspace(-edge, edge, PIXELS)
    right, front = np.meshgrid(axis, axis, indexing="ij")
    rho = np.hypot(right, front)
    alpha = 2 * np.arcsin(np.clip(rho / 2, 0, 1))
    slope = np.sin(alpha) / np.maximum(rho, 1e-9)
    units = np.stack([right * slope, front * slope, np.cos(alpha)], axis=-1)
    return units, rho <= edge, float((axis[1] - axis[0]) ** 2)


def vault_map(volume: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance (61, 61) from CENTRE to the first bone, mm, float32; NaN at openings.

    `volume` (D, H, W) has bits or bytes, or v.
    """
    return _vault_rays(grid).first(volume)


@lru_cache(maxsize=2)
def _vault_rays(grid: Grid) -> Rays:
    return Rays(grid, CENTRE, directions()[0], NEAREST, FARTHEST)


def vault_holes(field: np.ndarray, grid: Grid) -> float:
    """Area (cm²) of the vault where rays from CENTRE meet no bone, `field` > 0.

    Sampled more finely than `vault_map`, so that a wall of a fraction of a voxel counts
    as one; every opening counts, also that above a scan's border.
    """
    units, on_map, angle = directions()
    rays = Rays(grid, CENTRE, units, NEAREST, FARTHEST, step=FINELY)
    vault = rays.first_above(field)
    missed = np.isnan(vault) & on_map
    return float(missed.sum() * angle * np.nanmedian(vault[on_map]) ** 2 / 100)


class VaultModel:
    """Fitted to vault maps (n, 61, 61) of training skulls of scores `qualities` (n,).

    A scan may end below the vertex (QS 4 and 6), where its border cuts the vault in a
    plane.  An opening is a hole as far as no such plane explains it; for scores whose
    training skulls are not cut (those not in `cut`), all of it is.
    """

    def __init__(self, maps: np.ndarray, qualities: np.ndarray) -> None:
        units, on_map, angle = directions()
        # The median vault; directions in which no skull has bone take the overall one.
        reached = np.isfinite(maps).any(axis=0)
        radius = np.full(reached.shape, np.nanmedian(maps), float)
        radius[reached] = np.nanmedian(maps[:, reached], axis=0)
        self.radius = radius
        self.area = np.where(on_map, angle * radius**2 / 100, 0.0).ravel()  # cm²
        # For each tilt (rows): the pixels from the highest to the lowest; for planes
        # through them, the number of pixels more than RIM above, and down to RIM below.
        slopes = np.array([(a, b, 1.0) for a in TILTS for b in TILTS])
        heights = slopes @ (radius[..., None] * units).reshape(-1, 3).T
        heights /= np.linalg.norm(slopes, axis=1, keepdims=True)
        self.orders = np.argsort(-heights, axis=1)
        depths = -np.take_along_axis(heights, self.orders, axis=1)  # ascending
        self.above = np.stack([np.searchsorted(d, d - RIM, "left") for d in depths])
        self.or_near = np.stack([np.searchsorted(d, d + RIM, "right") for d in depths])
        cut = np.array([self._cut_off(self._open(vault)) > 0 for vault in maps])
        shares = {q: cut[qualities == q].mean() for q in np.unique(qualities).tolist()}
        self.cut = {q for q, share in shares.items() if share >= OFTEN}

    def holes(self, vault: np.ndarray, quality: int) -> float:
        """Non-anatomical openings (cm²) of a vault map of a skull of score `quality`.

        Open pixels below the border, and closed ones above it, beyond what was scanned.
        """
        opened = self._open(vault)
        explained = self._cut_off(opened) if quality in self.cut else 0.0
        return max(0.0, float(opened.sum() - explained))  # round-off

    def _open(self, vault: np.ndarray) -> np.ndarray:
        return np.where(openings(vault, GAP).ravel(), self.area, 0.0)

    def _cut_off(self, opened: np.ndarray) -> float:
        """cm² that the best plane explains, less the closed area above it."""
        if not opened.any():
            return 0.0
        sums = _cumulative(opened[self.orders])
        closed = _cumulative((self.area - opened)[self.orders])
        removed = np.take_along_axis(sums + closed, self.above, axis=1)
        gain = np.take_along_axis(sums, self.or_near, axis=1)
        gain -= np.take_along_axis(closed, self.above, axis=1)
        return max(0.0, float(gain[removed >= LEAST_CUT].max(initial=0.0)))


def _cumulative(values: np.ndarray) -> np.ndarray:
    """Sums of the first k values of each row, k = 0, 1, …"""
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
