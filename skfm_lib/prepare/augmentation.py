"""Augment a small data set by deformed and cropped copies of its training skulls."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.ndimage import gaussian_filter, map_coordinates

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import VARIATION_OF, Skull
from skfm_lib.data.phantom.field_of_view import FACE_Y, SLABS
from skfm_lib.data.voxels import Grid
from skfm_lib.prepare.bone_segmentation import bone_voxels
from skfm_lib.prepare.extraction import REASON, SHAPE, Record, record_path
from skfm_lib.prepare.score_proposal import landmarks
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.progress import track

STEP, REACH = 8.0, 160.0  # mm: spacing of the lattice, and half of its extent
SMOOTHING = 35.0  # mm, standard deviation of the Gaussian: a brow, a cheek, a temple
FLOW = 3.0  # mm, root mean square of the velocity along each axis
STRETCH = 0.03  # standard deviation of the scale of each axis; of heads about 0.04
ASYMMETRY = 0.3  # factor on the part of the velocity that differs between the sides
SQUARINGS = 6  # number of times that the map is composed with itself
MAX_CHANGE = 1.6  # factor by which the volume of any part may grow or shrink
DAMPING = 0.8  # factor on a velocity that exceeds it


def augment(
    out: Path, skulls: list[Skull], records: dict[str, Record], count: int, seed: int
) -> list[Skull]:
    """Write `count` variations of the training skulls of a data set; return their rows.

    A variation is a training skull, its parent, deformed by `random_warp` and cropped
    like a phantom of one of the parent's `shown_scores`; these pairs are used in turn.
    It belongs to the split of its parent, and its row in the manifest names the parent
    and the change of volume.  Other skulls are not augmented; existing variations are
    kept.  SkfmError if no skull of the training set has a score.
    """
    pairs = [
        (parent, score)
        for parent in skulls
        if parent.split == "train" and parent.quality
        for score in shown_scores(parent.quality, records[parent.name][REASON])
    ]
    if not count:
        return []
    if not pairs:
        found = "no skull of the training set has a score to make variations of"
        remedy = "correct them there, or take them with --accept"
        raise SkfmError(found, "quality scores, proposed in labels.csv", remedy)
    pairs.sort(key=lambda pair: -pair[1])  # stable: alternates parents of each score
    turns = [pairs[number % len(pairs)] for number in range(count)]
    return [
        _variation(out, parent, records[parent.name], score, [seed, number])
        for number, (parent, score) in enumerate(track(turns, "Augmenting"))
    ]


def shown_scores(quality: int, reason: str) -> list[int]:
    """The scores that a skull can be cropped to: its own, and those that show less.

    By its `reason` (see `propose`), a skull of score 4 may lack the cap.
    """
    if quality == 6 or (quality == 4 and not reason.startswith("cap whole")):
        return [quality]
    return list(range(2, quality + 1))


def crop(
    bone: np.ndarray,
    grid: Grid,
    quality: int,
    heights: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Crop a skull (D, H, W) to a random field of view of a score, as phantoms have it.

    `heights` are those of nasion and nasal floor, mm.
    """
    low, high, tilt = (rng.uniform(*limits) for limits in SLABS[quality])
    nasion, floor = heights
    _, y, z = grid.axes()
    level = z - np.tan(np.deg2rad(tilt)) * (y[:, None, None] - FACE_Y)
    return bone * ((level > floor + low * (nasion - floor)) & (level < high))


def _variation(
    out: Path, parent: Skull, record: Record, quality: int, seed: list[int]
) -> Skull:
    name = f"{parent.name}-{seed[1]:05d}"
    volume = out / "volumes" / f"{name}.nii.gz"
    about = record_path(volume)
    stamp = f"{record['stamp']} {quality} {seed}"
    entry = read_json(about) if about.exists() else {}
    if entry.get("stamp") != stamp or not volume.exists():
        rng = np.random.default_rng(seed)
        warp = random_warp(rng)
        bone, grid = read_volume(out / parent.file)
        mesh = skull_surface(bone, grid)
        mesh.points = warp(mesh.points).astype(np.float32)
        bone = bone_voxels(mesh, grid)
        if quality != parent.quality:
            nasion, floor, _ = landmarks(np.array(record[SHAPE]))
            points = warp(np.array([[0, FACE_Y, nasion], [0, FACE_Y, floor]], float))
            heights = float(points[0, 2]), float(points[1, 2])
            bone = crop(bone, grid, quality, heights, rng)
        write_volume(volume, bone, grid)
        entry = {"stamp": stamp, VARIATION_OF: parent.name, "jacobian": warp.jacobian}
        write_json(about, entry)
    checks = "parts {:.2f} to {:.2f} times as large".format(*entry["jacobian"])
    source = f"{VARIATION_OF} {parent.name}, seed {seed[0]} {seed[1]}"
    file = f"volumes/{name}.nii.gz"
    return Skull(name, parent.split, quality, file, source, parent.spacing, checks)


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
