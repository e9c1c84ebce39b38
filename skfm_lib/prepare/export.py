"""Export a skull as volume, mesh or DICOM segmentation, also in its patient's frame."""

import json
from pathlib import Path

import numpy as np
import pyvista as pv
import SimpleITK as sitk

from skfm_lib.data.bone_fractions import is_bone, skull_surface
from skfm_lib.data.io import volumes
from skfm_lib.data.io.dicom import seg
from skfm_lib.data.io.meshes import MESH_SUFFIXES, in_millimetres, read_mesh, write_mesh
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.data.voxels import Grid, skull_grid, voxelise
from skfm_lib.prepare import extraction
from skfm_lib.prepare.bone_segmentation import to_index
from skfm_lib.prepare.discovery import find_source
from skfm_lib.prepare.extraction import KIND, LONGEST, SCAN, TRANSFORM, Record
from skfm_lib.prepare.source import Source, on_disk
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import check_suffix, suffix

SAME = 1e-3  # mm; tolerance for two grids to be the same
DICOM_SEG = ".dcm"
IDENTIFIES = "carries the identifiers of the patient's series: treat it like the scan"


def export(
    skull: Path,
    out: Path,
    sandbox: Sandbox,
    like: Path | Source | None = None,
    record: str = "",
) -> str:
    """Write a skull as the volume or mesh named by the suffix of `out`, in RAS mm.

    With ``.dcm`` it becomes a DICOM segmentation of the patient's series `like`, the
    only file that identifies the patient.  Returns what the user must know of it, or
    "".

    Args:
        skull: A volume or mesh in the skull frame.  A mesh is voxelised on the paper's
            grid if `out` is a volume.
        sandbox: Reads `like`.
        like: The patient's scan (file, folder, archive or source).  The skull is
            transformed into its frame, and a volume gets exactly its grid.
        record: The JSON that `prepare` wrote for that scan; by default the one beside
            `skull`.

    Raises:
        SkfmError: A file cannot be read or written, the record is missing, `like` is
            not the scan of the record, or `out` would replace it.
    """
    skull, out = Path(skull), Path(out)
    check_suffix(out, volumes.ONE_FILE_SUFFIXES + MESH_SUFFIXES + (DICOM_SEG,))
    as_mesh = suffix(out) in MESH_SUFFIXES
    if suffix(out) == DICOM_SEG:
        seg.check_installed()
    if like is not None:
        entry = _read_record(skull, record)
        source = like if isinstance(like, Source) else find_source(Path(like), sandbox)
        named = source.location if source is like else str(like)
        _check_out(out, source, named)
        image = _empty_like(source, named, entry[SCAN], sandbox)
        to_scan = np.linalg.inv(np.array(entry[TRANSFORM]))
        mesh = _mesh(skull).transform(to_scan, inplace=False)
        if suffix(out) == DICOM_SEG:
            implant = entry.get(KIND) == seg.IMPLANT
            kind = seg.IMPLANT if implant else seg.SKULL
            # A skull with its record beside it is the scan's own bone.
            network = implant or not extraction.record_path(skull).is_file()
            note = sandbox(segment, source, mesh, out, kind, network)
            return "; ".join(filter(None, (f"{out} {IDENTIFIES}", note)))
        write_mesh(out, mesh) if as_mesh else volumes.write_image(
            out, _filled(mesh, image)
        )
    elif suffix(out) == DICOM_SEG:
        found = f"{out}: a DICOM segmentation belongs to a patient's series"
        raise SkfmError(found, "that series", "add --like SERIES, or --out FILE.nii.gz")
    elif as_mesh:
        write_mesh(out, _mesh(skull))
    elif suffix(skull) in MESH_SUFFIXES:
        grid = skull_grid()
        volumes.write_volume(out, voxelise(_mesh(skull), grid), grid)
    else:
        volume, grid = volumes.read_volume(skull)
        volumes.write_volume(out, is_bone(volume), grid)
    return ""


def read_like(like: Path | Source, sandbox: Sandbox) -> sitk.Image:
    """The one volume or DICOM series of a file or folder, with axes turned to RAS."""
    source = like if isinstance(like, Source) else find_source(Path(like), sandbox)
    with on_disk(source) as paths:
        return extraction.read_source(source, paths)


def grid_of(source: Source) -> tuple[sitk.Image | None, Record]:
    """An empty image on the own grid of a scan, None for a mesh.

    With it comes the grid as its record describes it, with axes turned to RAS.
    """
    with on_disk(source) as paths, time_limit(reading_time(source.size)):
        if source.suffix in MESH_SUFFIXES:
            points = in_millimetres(read_mesh(paths[0]))[0].n_points
            return None, {"points": points}
        slices = paths if source.suffix == "dicom" else ()
        empty = volumes.read_grid(paths[0].parent if slices else paths[0], slices)
        return empty, extraction.describe(sitk.DICOMOrient(empty, "RAS"))


def segment(
    source: Source, mesh: pv.PolyData, out: Path, kind: str, network: bool
) -> str:
    """Write a mesh in the RAS mm of a series as its DICOM segmentation.

    Meant to run in a `Sandbox`; arguments and result as `seg.write_segmentation`.
    """
    with on_disk(source) as paths, time_limit(LONGEST):
        return seg.write_segmentation(out, mesh, paths, kind, network)


def _check_out(out: Path, source: Source, named: str) -> None:
    """SkfmError if `out` is of the scan itself, or is to refer to slices it lacks."""
    if any(out.resolve() == item.path.resolve() for item in source.items):
        found = f"{out} is a file of the scan"
        raise SkfmError(found, "a file of its own for the skull", "name another --out")
    if suffix(out) == DICOM_SEG and source.suffix != "dicom":
        found = f"{named} is no DICOM series"
        expected = "the patient's series, which a DICOM segmentation refers to"
        raise SkfmError(found, expected, "name it, or --out FILE.nii.gz")


def _mesh(path: Path) -> pv.PolyData:
    if suffix(path) in MESH_SUFFIXES:
        return read_mesh(path)
    return skull_surface(*volumes.read_volume(path))


def _read_record(skull: Path, record: str) -> Record:
    path = Path(record) if record else extraction.record_path(skull)
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        if np.array(entry[TRANSFORM]).shape == (4, 4) and entry[SCAN]:
            return entry
    except (OSError, ValueError, KeyError, TypeError):
        pass
    found = f"{path} is not the record of a scan"
    expected = "the JSON that skfm prepare wrote beside the patient's volume"
    raise SkfmError(found, expected, "name it: --record DATASET/volumes/NAME.json")


def _empty_like(
    source: Source, named: str, described: Record, sandbox: Sandbox
) -> sitk.Image | None:
    """An empty image on the scan's own grid, if the record describes that grid."""
    image, own = sandbox(grid_of, source)
    same = own.keys() == described.keys() and all(
        np.shape(own[key]) == np.shape(described[key])
        and np.allclose(own[key], described[key], atol=SAME)
        for key in own
    )
    if not same:
        found = f"{named} is not the scan of this skull: its grid is another"
        expected = "the scan that skfm prepare made the record from"
        raise SkfmError(found, expected, "name that scan, or another --record")
    return image


def _filled(mesh: pv.PolyData, like: sitk.Image | None) -> sitk.Image:
    """1 inside a mesh (RAS mm), 0 outside, on the grid of an image with any axes."""
    if like is None:
        found = "a mesh has no grid for a volume"
        raise SkfmError(found, "a mesh file", "--out FILE.stl")
    # The mesh is voxelised in units of the image's voxels, along the image's axes.
    index = to_index(mesh.points, like)[:, ::-1].astype(np.float32)
    indexed = mesh.copy()
    indexed.points = index
    columns, rows, slices = like.GetSize()
    bone = voxelise(indexed, Grid((rows, columns, slices), 1.0, (0.0, 0.0, 0.0)))
    image = sitk.GetImageFromArray(bone.transpose(2, 0, 1).astype(np.uint8))
    image.CopyInformation(like)
    return image
