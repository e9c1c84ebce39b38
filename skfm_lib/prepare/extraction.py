"""Prepare one scan or mesh: read, segment, register, voxelise and write it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyvista as pv
import SimpleITK as sitk
from scipy import ndimage

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.io.dicom.series import NOTE
from skfm_lib.data.io.meshes import MESH_SUFFIXES, in_millimetres, read_mesh
from skfm_lib.data.io.sandbox import reading_time, time_limit
from skfm_lib.data.io.volumes import read_scan, write_volume
from skfm_lib.data.mesh_gaps import closed
from skfm_lib.data.registration.canonical_pose import UNCERTAIN_ABOVE, Registration
from skfm_lib.data.registration.coverage import regions
from skfm_lib.data.registration.up_axis import register_any_axes, y_was_up
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.prepare import bone_segmentation as segmentation
from skfm_lib.prepare.score_proposal import propose
from skfm_lib.prepare.source import Source, on_disk, redact
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, stem, write_json

USUAL_BONE = (150.0, 1500.0)  # ml: a calvarium … a skull with mandible and vertebrae
ALLOWED_LOOSE = 0.15  # share of the bone in parts other than the largest: a mandible
ALLOWED_OUTSIDE = 0.01  # share of the surface's points
USUAL_SHARE = 0.6  # of a region's surface in view
# Standard deviations of a mode of shape; real heads used in development have 2.5 at
# most, and one scaled by 0.75 has 6.
USUAL_SHAPE = 4.0
LONGEST = 900.0  # s for one skull without reading; 20 are usual at full size
TRANSFORM, SCAN = "scan to skull frame", "scan"  # keys of a skull's record
KIND = "kind"  # "implant"; not in the record of a skull
FIT, DOUBT = "distance from reference, mm", "doubt of the pose, mm"
KEPT = "a prepared skull, kept as it is"
PROPOSED, REASON = "proposed quality", "what it shows"
SHAPE = "shape, standard deviations"
COVERAGE, REGIONS = "share of the surface in view that is there", "the same by region"
Record = dict[str, Any]


@dataclass(frozen=True)
class Job:
    """One scan to prepare, and the file ``OUT/volumes/NAME.nii.gz`` to write.

    `stamp` changes with the scan's files, with the bone threshold (HU) and with the
    `label` of a segmentation that is the skull ("": see `segmentations.bone_mask`).
    """

    source: Source
    volume: Path
    shape: Shape
    threshold: float
    stamp: str
    label: str = ""

    @property
    def name(self) -> str:
        """Name of the skull in the data set."""
        return stem(self.volume)


def record_path(volume: Path) -> Path:
    """The file with the record of a skull, beside its volume."""
    return volume.with_name(f"{stem(volume)}.json")


def extract_skull(job: Job) -> Record:
    """Write the volume and the record of a scan; return the record.

    Meant to run in a `Sandbox`.  The record contains the stamp of the source, the
    checks, the 4×4 TRANSFORM with its FIT and DOUBT, the COVERAGE (`coverage`), also of
    the REGIONS in view, the PROPOSED score with its REASON, and the SCAN's own grid
    (`describe`), by which `export` transforms results back.

    A skull that was prepared on the same coarse grid is kept as it is, in its pose: its
    surface encloses more than the fractions of bone, and a volume of that surface would
    be thicker.  SkfmError, in which `redact` hides the files, if the scan cannot be
    used.
    """
    try:
        mesh, notes, scan = read_surface(job.source, job.threshold, job.label)
        with time_limit(LONGEST):
            registration = register_any_axes(mesh)
            grid = skull_grid(job.shape)
            if (volume := _kept(job, scan, grid)) is not None:
                registration = replace(registration, mesh=mesh, matrix=np.eye(4))
                notes.append(KEPT)
            else:
                volume = segmentation.bone_voxels(registration.mesh, grid)
            if not (bone := is_bone(volume)).any():
                raise SkfmError("no voxel is bone", "a closed surface", "fix the mesh")
            notes += [job.source.remark, *_checks(registration, bone, grid)]
            score = propose(registration)
    except SkfmError as problem:
        files = [item.path for item in job.source.items]
        raise redact(problem, files, job.name) from None
    write_volume(job.volume, volume, grid)
    record = {
        "stamp": job.stamp,
        "checks": ", ".join(filter(None, notes)) or "ok",
        "series": job.source.note,
        PROPOSED: score.quality,
        REASON: score.reason,
        FIT: round(registration.distance, 2),
        DOUBT: round(registration.uncertainty, 2),
        SHAPE: registration.shape.round(2).tolist(),
        COVERAGE: round(registration.coverage.share(*regions()), 2),
        REGIONS: registration.coverage.by_region(),
        TRANSFORM: registration.matrix.tolist(),
        SCAN: scan,
    }
    write_json(record_path(job.volume), record)
    return record


def _kept(job: Job, scan: Record, grid: Grid) -> np.ndarray | None:
    """The `segmentation.fractions_on` a grid; `scan` is what `describe` says."""
    depth, height, width = grid.shape
    if scan.get("size") != [height, depth, width]:
        return None
    with on_disk(job.source) as paths:
        image = read_source(job.source, paths, job.label)
        return segmentation.fractions_on(image, grid)


def finished(job: Job) -> Record:
    """The record of a scan that was prepared before and has not changed, or {}.

    Records of an earlier version, without the coverage, do not count.
    """
    path = record_path(job.volume)
    record = read_json(path) if path.exists() and job.volume.exists() else {}
    return record if record.get("stamp") == job.stamp and COVERAGE in record else {}


def read_surface(
    source: Source, threshold: float, label: str = ""
) -> tuple[pv.PolyData, list[str], Record]:
    """A skull's surface in the scan's own RAS mm, and what is unusual about the scan.

    `threshold` is that of bone in a CT, HU; `label` the skull's in a segmentation.
    The third value is the scan's own grid (`describe`; for a mesh, the points).
    """
    with on_disk(source) as paths:
        with time_limit(reading_time(source.size)):
            if source.suffix in MESH_SUFFIXES:
                mesh, note = in_millimetres(read_mesh(paths[0]))
                whole, gaps = closed(mesh)
                return whole, [n for n in (note, gaps) if n], {"points": mesh.n_points}
            image = read_source(source, paths, label)
    with time_limit(LONGEST):
        mesh = segmentation.bone_mesh(image, threshold)
        borders = segmentation.touched_borders(mesh, image)
    notes = [image.GetMetaData(NOTE)] if image.GetMetaData(NOTE) else []
    return mesh, notes + [f"touches {name} border" for name in borders], describe(image)


def read_source(source: Source, paths: list[Path], label: str = "") -> sitk.Image:
    """The volume or DICOM series of a source (see `volumes.read_scan`)."""
    if source.suffix == "dicom":
        return read_scan(paths[0].parent, paths, label)
    return read_scan(paths[0], label=label)


def describe(image: sitk.Image) -> Record:
    """The grid of an image in ITK's convention (LPS; x, y, z)."""
    return {
        "size": list(image.GetSize()),
        "spacing": list(image.GetSpacing()),
        "origin": list(image.GetOrigin()),
        "direction": list(image.GetDirection()),
    }


def _checks(registration: Registration, bone: np.ndarray, grid: Grid) -> list[str]:
    """What is unusual about a registered skull."""
    index = grid.to_index(registration.mesh.points)
    outside = ((index < -0.5) | (index > np.array(grid.shape) - 0.5)).any(axis=1).mean()
    volume = registration.mesh.volume / 1000
    sizes = np.bincount(ndimage.label(bone, segmentation.NEIGHBOURS)[0].ravel())[1:]
    loose = 1 - sizes.max() / sizes.sum()
    doubt, matrix = registration.uncertainty, registration.matrix
    lying, far = y_was_up(registration), np.abs(registration.shape).max()
    notes = {
        "turned upright (y was up)": lying,
        "turned by half a turn (it was in LPS)": matrix[0, 0] < 0 and not lying,
        f"its pose is uncertain by {doubt:.0f} mm": doubt > UNCERTAIN_ABOVE,
        f"{100 * outside:.0f} % outside the grid": outside > ALLOWED_OUTSIDE,
        f"size or shape {far:.0f} deviations from the mean (check its unit)": (
            far > USUAL_SHAPE
        ),
        f"{volume:.0f} ml of bone": not USUAL_BONE[0] <= volume <= USUAL_BONE[1],
        f"{100 * loose:.0f} % of the bone in loose parts": loose > ALLOWED_LOOSE,
    } | {
        f"{100 * share:.0f} % of the {region} in view": share < USUAL_SHARE
        for region, share in registration.coverage.by_region().items()
    }
    return [note for note, unusual in notes.items() if unusual]
