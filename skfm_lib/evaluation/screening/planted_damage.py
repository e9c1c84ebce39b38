"""Damage planted in real skulls, by which the sensitivity of screening is measured.

Each kind has a size from which a clinician would call the skull unusable.  No standard
states these sizes; they are chosen here, and each kind says why.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from scipy import ndimage

from skfm_lib.data.bone_fractions import LEVEL, as_bytes, as_fraction, is_bone
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening import vault
from skfm_lib.evaluation.screening.anatomy import TEETH, bone_of
from skfm_lib.evaluation.screening.measures import CROWNS, Skulls
from skfm_lib.utils.errors import SkfmError

APART = 6.0  # mm of air around a loose part
WALL = 25.0  # mm behind its inner side that a hole in the vault goes
LATERAL, BELOW = 30.0, 40.0  # mm: one-sided loss is centred beside and below these
VAULTED = (2, 3, 4, 5)  # scores whose scans show the vault
Fraction = Float[np.ndarray, "D H W"]
Plant = Callable[[Fraction, Grid, float, np.random.Generator], Fraction]


def _to(grid: Grid, point: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z of all voxels relative to a point, mm, broadcastable to (D, H, W)."""
    x, y, z = (axis - start for axis, start in zip(grid.axes(), point))
    return x[None, :, None], y[:, None, None], z[None, None, :]


def _inside(depth: np.ndarray, grid: Grid) -> np.ndarray:
    """Share of each voxel in a body, of the depth (mm) of its centre below the surface.

    >>> _inside(np.array([-4.0, 0.0, 1.0]), Grid((1, 1, 3), 4.0, (0, 0, 0))).tolist()
    [0.0, 0.5, 0.75]
    """
    return np.clip(depth / grid.spacing + 0.5, 0, 1)


def _ball(grid: Grid, index: np.ndarray, diameter: float) -> np.ndarray:
    """Share of each voxel in a ball about the voxel `index` (3,)."""
    offsets = _to(grid, grid.to_mm(index[None])[0])
    return _inside(diameter / 2 - np.sqrt(sum(a**2 for a in offsets)), grid)


def _pick(room: np.ndarray, wanted: float, rng: np.random.Generator) -> np.ndarray:
    """Index of a random element with `wanted` room, or with the most there is."""
    return rng.choice(np.argwhere(room >= min(wanted, room.max())))


def _hole(f: Fraction, grid: Grid, size: float, rng: np.random.Generator) -> Fraction:
    """Without a cylinder across the vault, of diameter `size`, within its bone."""
    units, on_map, angle = vault.directions()
    first = vault.vault_map(as_bytes(f), grid)
    pixel = np.sqrt(angle) * np.nanmedian(first)
    room = ndimage.distance_transform_edt(np.pad(np.isfinite(first) & on_map, 1))
    at = tuple(_pick(room[1:-1, 1:-1] * pixel, size / 2 + vault.RIM, rng))
    offsets = _to(grid, vault.CENTRE)
    along = sum(a * u for a, u in zip(offsets, units[at]))
    beside = np.sqrt(np.maximum(sum(a**2 for a in offsets) - along**2, 0))
    wall = (along > first[at] / 2) & (along < first[at] + WALL)
    return f * (1 - wall * _inside(size / 2 - beside, grid))


def _loose(f: Fraction, grid: Grid, size: float, rng: np.random.Generator) -> Fraction:
    """With a ball of bone of diameter `size` in the air, inside or near the skull."""
    bone = f > LEVEL
    room = ndimage.distance_transform_edt(~bone, grid.spacing)
    for axis in range(3):  # within the bounding box
        ends = np.flatnonzero(bone.any(axis=tuple(a for a in range(3) if a != axis)))
        near = np.moveaxis(room, axis, 0)
        near[: ends[0]] = near[ends[-1] + 1 :] = 0
    return np.maximum(f, _ball(grid, _pick(room, size / 2 + APART, rng), size))


def _blurred(f: Fraction, grid: Grid, size: float, _: np.random.Generator) -> Fraction:
    """With a Gaussian of standard deviation `size` over the teeth and 8 mm around."""
    depth = [
        np.minimum(axis - low, high - axis) + 8.0
        for axis, (low, high) in zip(_to(grid, np.zeros(3)), TEETH)
    ]
    near = np.minimum(np.minimum(depth[0], depth[1]), depth[2]) > 0
    return np.where(near, ndimage.gaussian_filter(f, size / grid.spacing), f)


def _lost(f: Fraction, grid: Grid, size: float, rng: np.random.Generator) -> Fraction:
    """Without a ball of diameter `size` about bone of one side of face or base."""
    x, _, z = _to(grid, np.zeros(3))
    bone = f > LEVEL
    sides = bone & (np.abs(x) >= LATERAL) & (z <= BELOW)
    return f * (1 - _ball(grid, _pick(sides if sides.any() else bone, 1, rng), size))


def _half(f: Fraction, grid: Grid, size: float, rng: np.random.Generator) -> Fraction:
    """Without the upper `size` of the bone on one side of an upright plane."""
    height = (f > LEVEL).sum(axis=(0, 1)).cumsum()
    top = grid.axes()[2][np.searchsorted(height, 0.999 * height[-1])]
    x, y, z = _to(grid, vault.CENTRE)
    turn = rng.uniform(0, 2 * np.pi)
    side = x * np.cos(turn) + y * np.sin(turn)
    cap = _inside(z + vault.CENTRE[2] - float(top) + size, grid)
    return f * (1 - cap * _inside(side, grid))


@dataclass(frozen=True)
class Damage:
    """A kind of damage."""

    name: str
    plant: Plant
    size: float  #: mm, from which a clinician would call it a failure
    means: str  #: what the size is of
    reason: str  #: why that size
    scores: tuple[int, ...] | None = None  #: that it can occur in; None for all

    def planted(
        self, volume: np.ndarray, grid: Grid, size: float, seed: int
    ) -> np.ndarray:
        """A volume (D, H, W) of bits or bytes with damage of `size` mm, as such.

        `seed` determines where it lies.

        Raises:
            SkfmError: for a size that is not positive, and a volume without bone or
                not on this grid.
        """
        if not 0 < size < np.inf:
            raise SkfmError(f"damage of {size} mm", "a size above 0", "choose another")
        bone_of(volume, grid)
        rng = np.random.default_rng(seed)
        damaged = self.plant(as_fraction(volume), grid, size, rng)
        return as_bytes(damaged) if volume.dtype == np.uint8 else is_bone(damaged)


DAMAGE = (
    Damage(
        "hole in the vault",
        _hole,
        25.0,
        "diameter",
        "5 cm², three times the area of a burr hole (14 mm)",
        VAULTED,
    ),
    Damage(
        "loose part",
        _loose,
        16.0,
        "diameter",
        "2 cm³, twice what is tolerated as a chip",
    ),
    Damage(
        "blurred teeth",
        _blurred,
        4.0,
        "standard deviation",
        "full width 9 mm at half height, as a crown: teeth merge",
        CROWNS,
    ),
    Damage(
        "one-sided loss",
        _lost,
        40.0,
        "diameter",
        "a cheekbone, an ear region or the angle of a jaw is gone",
    ),
    Damage(
        "half-open vault",
        _half,
        30.0,
        "step of its upper border",
        "some 70 cm² open on one side; borders of scans are planes",
        VAULTED,
    ),
)


class Damaged:
    """Those of a set of skulls in which a kind of damage can occur, with it."""

    def __init__(self, skulls: Skulls, damage: Damage, size: float) -> None:
        self.skulls, self.damage, self.size = skulls, damage, size
        wanted = damage.scores or skulls.qualities
        self.items = [i for i, q in enumerate(skulls.qualities) if q in wanted]
        self.grid = skulls.grid
        self.qualities: Sequence[int] = [skulls.qualities[i] for i in self.items]

    def __len__(self) -> int:
        return len(self.items)

    def volume(self, index: int) -> np.ndarray:
        """One damaged skull, bits or bytes (D, H, W)."""
        item = self.items[index]
        volume = self.skulls.volume(item)
        return self.damage.planted(volume, self.grid, self.size, seed=item)


def damaged_sets(skulls: Skulls, doses: Sequence[int]) -> dict[str, Damaged]:
    """All kinds of DAMAGE in a set, in `doses`, % of the size that is a failure."""
    return {
        f"{damage.name}, {dose} %": Damaged(skulls, damage, dose / 100 * damage.size)
        for damage in DAMAGE
        for dose in doses
    }
