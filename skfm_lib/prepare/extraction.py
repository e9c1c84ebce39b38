"""One scan or mesh made one skull: read, cleaned, placed, voxelised, written."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
import SimpleITK as sitk
from scipy import ndimage

from skfm_lib.data.io.dicom_series import NOTE
from skfm_lib.data.io.meshes import MESH_SUFFIXES, in_millimetres, read_mesh
from skfm_lib.data.io.sandbox import reading_time, time_limit
from skfm_lib.data.io.volumes import read_scan, write_volume
from skfm_lib.data.registration.canonical_pose import (
    UNCERTAIN_ABOVE,
    Registration,
    register,
)
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.prepare.bone_segmentation import (
    EVERYWHERE,
    bone_mesh,
    bone_voxels,
    touched_borders,
)
from skfm_lib.prepare.discovery import Source, on_disk, without
from skfm_lib.prepare.score_proposal import propose
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

USUAL_BONE = (150.0, 1500.0)  # ml, a calvarium … a skull with mandible and vertebrae
ALLOWED_LOOSE = 0.15  # share of the bone in parts other than the largest: a mandible
ALLOWED_OUTSIDE = 0.01  # share of a surface's points
LONGEST = 900.0  # s for one skull, reading not counted; 20 are usual at full size
TRANSFORM, SCAN = "scan to skull frame", "scan"  # keys of a skull's record
FIT, DOUBT = "distance from reference, mm", "doubt of the pose, mm"
PROPOSED, REASON = "proposed quality", "what it shows"
SHAPE = "shape, standard deviations"
Record = dict[str, Any]


def extract_skull(
    source: Source, target: Path, shape: Shape, threshold: float, stamp: str
) -> Record:
    """Write ``target.nii.gz`` and its record ``target.json``; return the record.

    Made to run in a Guard's child.  The record holds the stamp of the source, the
    checks, the 4×4 TRANSFORM with its FIT and DOUBT, the PROPOSED score with its
    REASON, and the SCAN's own grid (`describe`), which `export` needs to put a result
    back.  SkfmError, which says `target`'s name in place of the files', for all that
    makes a scan no skull.
    """
    try:
        mesh, notes, scan = read_surface(source, threshold)
        notes += [source.said] if source.said else []
        with time_limit(LONGEST):
            found = register(mesh)
            grid = skull_grid(shape)
            bone = bone_voxels(found.mesh, grid)
            if not bone.any():
                raise SkfmError("no voxel is bone", "a closed surface", "mend the mesh")
            notes += _checks(found, bone, grid)
            score = propose(found)
    except SkfmError as problem:
        files = [item.path for item in source.items]
        raise SkfmError(without(str(problem), files, target.name)) from None
    write_volume(target.with_name(f"{target.name}.nii.gz"), bone, grid)
    record = {"stamp": stamp, "checks": ", ".join(notes) or "ok"}
    record |= {"series": source.note, PROPOSED: score.quality, REASON: score.reason}
    record |= {FIT: round(found.distance, 2), DOUBT: round(found.uncertainty, 2)}
    record |= {SHAPE: found.shape.round(2).tolist()}
    record |= {TRANSFORM: found.matrix.tolist(), SCAN: scan}
    with replacing(target.with_name(f"{target.name}.json")) as temporary:
        temporary.write_text(json.dumps(record, indent=1), encoding="utf-8")
    return record


def finished(target: Path, stamp: str) -> Record | None:
    """The record of a skull made from the same files before, or None.

    One that an earlier version wrote, without the shape, is made anew.
    """
    path = target.with_name(f"{target.name}.json")
    if not (path.exists() and target.with_name(f"{target.name}.nii.gz").exists()):
        return None
    record = json.loads(path.read_text(encoding="utf-8"))
    return record if record.get("stamp") == stamp and SHAPE in record else None


def read_surface(
    source: Source, threshold: float
) -> tuple[pv.PolyData, list[str], dict[str, object]]:
    """A source's surface in its own RAS mm, what is unusual, and its own grid."""
    with on_disk(source) as paths:
        with time_limit(reading_time(source.size)):
            if source.suffix in MESH_SUFFIXES:
                mesh, note = in_millimetres(read_mesh(paths[0]))
                return mesh, [note] if note else [], {"points": mesh.n_points}
            image = read_source(source, paths)
    with time_limit(LONGEST):
        mesh = bone_mesh(image, threshold)
        notes = [image.GetMetaData(NOTE)] if image.GetMetaData(NOTE) else []
        notes += [f"touches {border} border" for border in touched_borders(mesh, image)]
    return mesh, notes, describe(image)


def read_source(source: Source, paths: list[Path]) -> sitk.Image:
    """The volume or DICOM series of a source (see `volumes.read_scan`)."""
    if source.suffix == "dicom":
        return read_scan(paths[0].parent, paths)
    return read_scan(paths[0])


def describe(image: sitk.Image) -> dict[str, object]:
    """The grid of an image, in ITK's words (LPS, x y z)."""
    return {
        "size": list(image.GetSize()),
        "spacing": list(image.GetSpacing()),
        "origin": list(image.GetOrigin()),
        "direction": list(image.GetDirection()),
    }


def _checks(found: Registration, bone: np.ndarray, grid: Grid) -> list[str]:
    """What is unusual about a placed skull, in words."""
    notes = []
    if found.matrix[0, 0] < 0:
        notes.append("turned by half a turn (it was in LPS)")
    if found.uncertainty > UNCERTAIN_ABOVE:
        notes.append(f"its pose is uncertain by {found.uncertainty:.0f} mm")
    index = grid.to_index(found.mesh.points)
    outside = ((index < -0.5) | (index > np.array(grid.shape) - 0.5)).any(axis=1).mean()
    if outside > ALLOWED_OUTSIDE:
        notes.append(f"{100 * outside:.0f} % outside the grid")
    volume = found.mesh.volume / 1000
    if not USUAL_BONE[0] <= volume <= USUAL_BONE[1]:
        notes.append(f"{volume:.0f} ml of bone")
    sizes = np.bincount(ndimage.label(bone, EVERYWHERE)[0].ravel())[1:]
    loose = 1 - sizes.max() / sizes.sum()
    if loose > ALLOWED_LOOSE:
        notes.append(f"{100 * loose:.0f} % of the bone in loose parts")
    return notes
