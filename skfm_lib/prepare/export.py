"""Export a skull as a volume or mesh, optionally in the frame of its patient's scan."""

import json
from pathlib import Path

import numpy as np
import pyvista as pv
import SimpleITK as sitk

from skfm_lib.data.io import volumes
from skfm_lib.data.io.meshes import MESH_SUFFIXES, in_millimetres, read_mesh, write_mesh
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.data.voxels import Grid, skull_grid, surface, voxelise
from skfm_lib.prepare import extraction
from skfm_lib.prepare.bone_segmentation import to_index
from skfm_lib.prepare.discovery import find_source
from skfm_lib.prepare.extraction import SCAN, TRANSFORM, Record
from skfm_lib.prepare.source import Source, on_disk
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import check_suffix, suffix

SAME = 1e-3  # mm; tolerance for two grids to be the same


def export(
    skull: Path, out: Path, sandbox: Sandbox, like: Path | None = None, record: str = ""
) -> None:
    """Write a skull as the volume or mesh named by the suffix of `out`, in RAS mm.

    Args:
        skull: A volume or mesh in the skull frame.  A mesh is voxelised on the paper's
            grid if `out` is a volume.
        sandbox: Reads `like`.
        like: The patient's scan (file, folder or archive).  The skull is transformed
            into its frame, and a volume gets exactly its grid.
        record: The JSON that `prepare` wrote for that scan; by default the one beside
            `skull`.

    Raises:
        SkfmError: A file cannot be read or written, the record is missing, or `like` is
            not the scan of the record.
    """
    skull, out = Path(skull), Path(out)
    check_suffix(out, volumes.ONE_FILE_SUFFIXES + MESH_SUFFIXES)
    as_mesh = suffix(out) in MESH_SUFFIXES
    if like is not None:
        entry = _read_record(skull, record)
        image = _empty_like(Path(like), entry[SCAN], sandbox)
        to_scan = np.linalg.inv(np.array(entry[TRANSFORM]))
        mesh = _mesh(skull).transform(to_scan, inplace=False)
        write_mesh(out, mesh) if as_mesh else volumes.write_image(
            out, _filled(mesh, image)
        )
    elif as_mesh:
        write_mesh(out, _mesh(skull))
    elif suffix(skull) in MESH_SUFFIXES:
        grid = skull_grid()
        volumes.write_volume(out, voxelise(_mesh(skull), grid), grid)
    else:
        volumes.write_volume(out, *volumes.read_volume(skull))


def read_like(like: Path, sandbox: Sandbox) -> sitk.Image:
    """The one volume or DICOM series of a file or folder, with axes turned to RAS."""
    source = find_source(Path(like), sandbox)
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
        raw = volumes.read_stored(paths[0], paths if source.suffix == "dicom" else ())
        empty = sitk.Image(raw.GetSize(), sitk.sitkUInt8)
        empty.CopyInformation(raw)
        return empty, extraction.describe(volumes.to_ras(paths[0], raw))


def _mesh(path: Path) -> pv.PolyData:
    if suffix(path) in MESH_SUFFIXES:
        return read_mesh(path)
    occupancy, grid = volumes.read_volume(path)
    return surface(occupancy, grid, 0.5)


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


def _empty_like(like: Path, described: Record, sandbox: Sandbox) -> sitk.Image | None:
    """An empty image on the scan's own grid, if the record describes that grid."""
    image, own = sandbox(grid_of, find_source(like, sandbox))
    same = own.keys() == described.keys() and all(
        np.shape(own[key]) == np.shape(described[key])
        and np.allclose(own[key], described[key], atol=SAME)
        for key in own
    )
    if not same:
        found = f"{like} is not the scan of this skull: its grid is another"
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
