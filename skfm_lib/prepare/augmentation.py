"""A population from few scans: smooth variations of their skulls, cropped by score."""

import json
from pathlib import Path

import numpy as np
import pyvista as pv

from skfm_lib.data.io.volumes import read_volume, write_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom.field_of_view import FACE_Y, SLABS
from skfm_lib.data.voxels import Grid, surface
from skfm_lib.prepare.bone_segmentation import bone_voxels
from skfm_lib.prepare.deformation import Warp, random_warp
from skfm_lib.prepare.extraction import REASON, SHAPE, Record
from skfm_lib.prepare.score_proposal import landmarks
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track

DERIVED = "derived from"  # begins the manifest's source of a variation


def derive(
    out: Path, skulls: list[Skull], records: dict[str, Record], count: int, seed: int
) -> list[Skull]:
    """Write `count` variations of the data set's training skulls; return their rows.

    Parents take turns, and for each parent the scores that it shows enough for: a
    variation is the parent moved by `random_warp`, and cropped as phantoms of that
    score are.  It stands on its parent's side of the split, says so in the manifest,
    and in its checks how much it grows and shrinks.  Test skulls have no variations:
    tests are on real skulls.  Those made before are kept.  SkfmError where no skull of
    the training set has a score.
    """
    if not count:
        return []
    parents = [skull for skull in skulls if skull.split == "train"]
    if not parents:
        raise SkfmError(
            "no skull of the training set has a score to derive variations from",
            "quality scores, proposed in labels.csv",
            "correct them there, or take them with --accept",
        )
    turns = [(p, q) for p in parents for q in shown_scores(p, records[p.name])]
    turns.sort(key=lambda turn: -turn[1])  # stable: parents in turn for each score
    derived = []
    for number in track(range(count), "Deriving skulls"):
        parent, quality = turns[number % len(turns)]
        record = records[parent.name]
        derived.append(_variation(out, parent, record, quality, [seed, number]))
    return derived


def shown_scores(parent: Skull, record: Record) -> list[int]:
    """The scores that a skull can be cropped to: its own, and those that show less."""
    own = parent.quality
    if own == 6 or (own == 4 and not str(record[REASON]).startswith("cap whole")):
        return [own]
    return list(range(2, own + 1))


def cropped(
    bone: np.ndarray,
    grid: Grid,
    quality: int,
    heights: tuple[float, float],
    rng: np.random.Generator,
) -> np.ndarray:
    """Bone (D, H, W) within a field of view of that score, drawn as phantoms' are.

    heights  of nasion and nasal floor, mm
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
    target = out / "volumes" / f"{name}.nii.gz"
    stamp = f"{record['stamp']} {quality} {seed}"
    about = target.with_name(f"{name}.json")
    made = json.loads(about.read_text("utf-8")) if about.exists() else {}
    if made.get("stamp") != stamp or not target.exists():
        rng = np.random.default_rng(seed)
        warp = random_warp(rng)
        bone, grid = read_volume(out / parent.file)
        bone = bone_voxels(_moved(bone, grid, warp), grid)
        if quality != parent.quality:
            bone = cropped(bone, grid, quality, _heights(record, warp), rng)
        write_volume(target, bone, grid)
        made = {"stamp": stamp, DERIVED: parent.name, "jacobian": warp.jacobian}
        with replacing(about) as temporary:
            temporary.write_text(json.dumps(made, indent=1), encoding="utf-8")
    checks = "parts {:.2f} to {:.2f} times as large".format(*made["jacobian"])
    source = f"{DERIVED} {parent.name}, seed {seed[0]} {seed[1]}"
    file = f"volumes/{name}.nii.gz"
    return Skull(name, parent.split, quality, file, source, parent.spacing, checks)


def _moved(bone: np.ndarray, grid: Grid, warp: Warp) -> pv.PolyData:
    mesh = surface(bone, grid, 0.5)
    mesh.points = warp(mesh.points).astype(np.float32)
    return mesh


def _heights(record: Record, warp: Warp) -> tuple[float, float]:
    """Nasion and nasal floor of the parent, moved with it, mm."""
    nasion, floor, _ = landmarks(np.array(record[SHAPE]))
    moved = warp(np.array([[0.0, FACE_Y, nasion], [0.0, FACE_Y, floor]]))
    return float(moved[0, 2]), float(moved[1, 2])
