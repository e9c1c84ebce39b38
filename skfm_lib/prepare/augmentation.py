"""Augment a small data set by deformed and cropped copies of its training skulls."""

from pathlib import Path

import numpy as np

from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom.field_of_view import FACE_Y, SLABS
from skfm_lib.data.voxels import Grid, surface
from skfm_lib.prepare.bone_segmentation import bone_voxels
from skfm_lib.prepare.deformation import random_warp
from skfm_lib.prepare.extraction import REASON, SHAPE, Record, record_path
from skfm_lib.prepare.score_proposal import landmarks
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.progress import track

ORIGIN = "derived from"  # begins the manifest's source of a variation


def augment(
    out: Path, skulls: list[Skull], records: dict[str, Record], count: int, seed: int
) -> list[Skull]:
    """Write `count` variations of the training skulls of a data set; return their rows.

    A variation is a training skull, its parent, deformed by `random_warp` and cropped
    like a phantom of one of the parent's `shown_scores`; these pairs are used in turn.
    It belongs to the split of its parent, and its row in the manifest names the parent
    and the change of volume.  Test skulls are not augmented; existing variations are
    kept.  SkfmError if no skull of the training set has a score.
    """
    pairs = [
        (parent, score)
        for parent in skulls
        if parent.split == "train" and parent.quality
        for score in shown_scores(parent.quality, records[parent.name][REASON])
    ]
    if count and not pairs:
        found = "no skull of the training set has a score to make variations of"
        remedy = "correct them there, or take them with --accept"
        raise SkfmError(found, "quality scores, proposed in labels.csv", remedy)
    pairs.sort(key=lambda pair: -pair[1])  # stable: alternates parents of each score
    rows = []
    for number in track(range(count), "Augmenting") if count else ():
        parent, score = pairs[number % len(pairs)]
        record = records[parent.name]
        rows.append(_variation(out, parent, record, score, [seed, number]))
    return rows


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
    """Crop bone (D, H, W) to a random field of view of a score, as phantoms have it.

    `heights` are those of nasion and nasal floor, mm.
    """
    low, high, tilt = (rng.uniform(*limits) for limits in SLABS[quality])
    nasion, floor = heights
    _, y, z = grid.axes()
    level = z - np.tan(np.deg2rad(tilt)) * (y[:, None, None] - FACE_Y)
    return bone & (level > floor + low * (nasion - floor)) & (level < high)


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
        mesh = surface(bone, grid, 0.5)
        mesh.points = warp(mesh.points).astype(np.float32)
        bone = bone_voxels(mesh, grid)
        if quality != parent.quality:
            nasion, floor, _ = landmarks(np.array(record[SHAPE]))
            points = warp(np.array([[0, FACE_Y, nasion], [0, FACE_Y, floor]], float))
            heights = float(points[0, 2]), float(points[1, 2])
            bone = crop(bone, grid, quality, heights, rng)
        write_volume(volume, bone, grid)
        entry = {"stamp": stamp, ORIGIN: parent.name, "jacobian": warp.jacobian}
        write_json(about, entry)
    checks = "parts {:.2f} to {:.2f} times as large".format(*entry["jacobian"])
    source = f"{ORIGIN} {parent.name}, seed {seed[0]} {seed[1]}"
    file = f"volumes/{name}.nii.gz"
    return Skull(name, parent.split, quality, file, source, parent.spacing, checks)
