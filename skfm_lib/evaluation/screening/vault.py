"""The cranial vault seen from within: a map of it, and the holes in it (Fig. 4b)."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.ray_casting import Rays, openings

CENTRE = np.array([0.0, 0.0, 45.0])  # mm, amid the braincase: the vertex is near 120
LOWEST = np.deg2rad(100.0)  # from the zenith: 10° below the horizon, above the orbits
PIXELS = 61  # across the map: 4 mm apart on the vault, as voxels at preset quick
NEAREST, FARTHEST = 20.0, 135.0  # mm from the centre: all vaults lie between
TILTS = np.tan(np.deg2rad(np.arange(-16.0, 17.0, 4.0)))  # of a scan's upper border
LEAST_CUT = 40.0  # cm²; a border cuts off more, a hole is less
RIM = 5.0  # mm beside the border that are not judged: people's vaults differ so much
GAP = 2  # rays, 8 mm; narrower gaps are noise of the grid
OFTEN = 0.05  # share of a score's training skulls that must be cut


@lru_cache(maxsize=1)
def directions() -> tuple[np.ndarray, np.ndarray, float]:
    """Unit vectors (61, 61, 3), which of them are on the map, and their solid angle.

    Lambert's azimuthal equal-area projection about the zenith: a direction at angle α
    from it lies at radius 2 sin(α / 2), so that every pixel stands for the same solid
    angle.  Rows run left to right, columns back to front.
    """
    edge = 2 * np.sin(LOWEST / 2)
    axis = np.linspace(-edge, edge, PIXELS)
    right, front = np.meshgrid(axis, axis, indexing="ij")
    rho = np.hypot(right, front)
    alpha = 2 * np.arcsin(np.clip(rho / 2, 0, 1))
    slope = np.sin(alpha) / np.maximum(rho, 1e-9)
    units = np.stack([right * slope, front * slope, np.cos(alpha)], axis=-1)
    return units, rho <= edge, float((axis[1] - axis[0]) ** 2)


def vault_map(bone: np.ndarray, grid: Grid) -> np.ndarray:
    """Distance (mm) from CENTRE to the first bone in each direction, (61, 61) float32.

    NaN where a ray leaves the field of view without meeting bone: an opening.
    """
    return _rays(grid).first(bone)


@lru_cache(maxsize=2)
def _rays(grid: Grid) -> Rays:
    units = directions()[0]
    origins = np.broadcast_to(CENTRE, units.shape)
    return Rays.on(grid, origins, units, NEAREST, FARTHEST)


@dataclass(frozen=True)
class VaultNorm:
    """What openings of the vault are normal.

    A scan may end below the vertex (QS 4 and 6): its border cuts the vault in a plane.
    So an opening is non-anatomical as far as no such plane explains it; and where the
    training skulls of a score are not cut, all of it is.

    area    cm² of vault that each pixel (61 · 61) stands for, 0 off the map
    orders  (planes, 61 · 61): for each tilt, the pixels from the highest to the lowest
    above   (planes, 61 · 61): of planes through these pixels, how many pixels lie more
            than RIM above; or_near: and how many not more than RIM below
    cut     quality scores whose training skulls are cut
    """

    area: np.ndarray
    orders: np.ndarray
    above: np.ndarray
    or_near: np.ndarray
    cut: frozenset[int]

    @classmethod
    def fit(cls, maps: np.ndarray, qualities: np.ndarray) -> "VaultNorm":
        """From the vault maps (n, 61, 61) of training skulls of known scores (n,)."""
        units, on_map, angle = directions()
        met = np.isfinite(maps).any(axis=0)
        middle = np.full(met.shape, np.nanmedian(maps), float)
        middle[met] = np.nanmedian(maps[:, met], axis=0)
        area = np.where(on_map, angle * middle**2 / 100, 0.0).ravel()
        planes = _planes((middle[..., None] * units).reshape(-1, 3))
        every = cls(area, *planes, frozenset(np.unique(qualities).tolist()))
        cut = np.array([every._cut_off(every._open(vault)) > 0 for vault in maps])
        often = (q for q in every.cut if cut[qualities == q].mean() >= OFTEN)
        return cls(area, *planes, frozenset(often))

    def holes(self, vault: np.ndarray, quality: int) -> float:
        """Non-anatomical openings (cm²) of a vault map, for the score it shows.

        Counted are open pixels below the border and closed ones above it, which are
        remnants of bone where nothing was scanned.
        """
        opened = self._open(vault)
        explained = self._cut_off(opened) if quality in self.cut else 0.0
        return max(0.0, float(opened.sum() - explained))  # round-off

    def _open(self, vault: np.ndarray) -> np.ndarray:
        return np.where(openings(vault, GAP).ravel(), self.area, 0.0)

    def _cut_off(self, opened: np.ndarray) -> float:
        """cm² that the best plane explains, less what it leaves closed above it."""
        sums = _running(opened[self.orders])
        closed = _running((self.area - opened)[self.orders])
        taken = np.take_along_axis(sums + closed, self.above, axis=1)
        gain = np.take_along_axis(sums, self.or_near, axis=1)
        gain -= np.take_along_axis(closed, self.above, axis=1)
        return max(0.0, float(gain[taken >= LEAST_CUT].max(initial=0.0)))


def _planes(points: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(orders, above, or_near) of VaultNorm for vault points (pixels, 3), mm."""
    slopes = np.array([(a, b, 1.0) for a in TILTS for b in TILTS])
    heights = slopes @ points.T / np.linalg.norm(slopes, axis=1, keepdims=True)
    orders = np.argsort(-heights, axis=1)
    falling = -np.take_along_axis(heights, orders, axis=1)
    above = np.stack([np.searchsorted(f, f - RIM, side="left") for f in falling])
    or_near = np.stack([np.searchsorted(f, f + RIM, side="right") for f in falling])
    return orders, above, or_near


def _running(values: np.ndarray) -> np.ndarray:
    """Sums of the first k values of each row, k = 0, 1, …"""
    return np.cumsum(np.pad(values, ((0, 0), (1, 0))), axis=1)
