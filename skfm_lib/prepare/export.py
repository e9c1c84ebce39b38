"""A skull out again: as the file one needs, or in its patient's own frame."""

import json
from pathlib import Path

import numpy as np
import pyvista as pv
import SimpleITK as sitk

from skfm_lib.data.io.meshes import MESH_SUFFIXES, in_millimetres, read_mesh, write_mesh
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.data.io.volumes import (
    LPS_TO_RAS,
    ONE_FILE_SUFFIXES,
    read_stored,
    read_volume,
    to_ras,
    write_image,
    write_volume,
)
from skfm_lib.data.voxels import Grid, skull_grid, surface, voxelise
from skfm_lib.prepare.discovery import Source, find_sources, on_disk
from skfm_lib.prepare.extraction import SCAN, TRANSFORM, describe, read_source
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import check_suffix, stem, suffix

SAME = 1e-3  # mm between two grids that are one


def export(
    skull: Path, out: Path, sandbox: Sandbox, like: Path | None = None, record: str = ""
) -> None:
    """Write a skull as the volume or mesh that the suffix of `out` says, mm in RAS.

    skull   a volume or mesh in the skull frame: of a data set, generated, completed
    like    the scan of its patient (file, folder, archive): the skull goes back into
            that scan's frame, and a volume gets its very grid
    record  the JSON that `prepare` wrote for that scan; by default the one beside
            `skull`

    A mesh becomes a volume on the paper's grid.  SkfmError where a file cannot be
    read or written, the record is missing, or `like` is not the scan of the record.
    """
    skull, out = Path(skull), Path(out)
    check_suffix(out, ONE_FILE_SUFFIXES + MESH_SUFFIXES)
    as_mesh = suffix(out) in MESH_SUFFIXES
    if like is not None:
        entry = _entry(skull, record)
        grid = _grid_like(Path(like), entry[SCAN], sandbox)
        back = np.linalg.inv(np.array(entry[TRANSFORM]))
        mesh = _mesh(skull).transform(back, inplace=False)
        write_mesh(out, mesh) if as_mesh else write_image(out, _painted(mesh, grid))
    elif as_mesh:
        write_mesh(out, _mesh(skull))
    elif suffix(skull) in MESH_SUFFIXES:
        grid = skull_grid()
        write_volume(out, voxelise(_mesh(skull), grid), grid)
    else:
        write_volume(out, *read_volume(skull))


def read_like(like: Path, sandbox: Sandbox) -> sitk.Image:
    """The one volume or DICOM series of a file or folder, its axes turned to RAS."""
    source = _only(Path(like), sandbox)
    with on_disk(source) as paths:
        return read_source(source, paths)


def grids(source: Source) -> tuple[dict, dict]:
    """A scan's grid as its file has it, and as its record describes it."""
    with on_disk(source) as paths, time_limit(reading_time(source.size)):
        if source.suffix in MESH_SUFFIXES:
            points = in_millimetres(read_mesh(paths[0]))[0].n_points
            return {}, {"points": points}
        slices = paths if source.suffix == "dicom" else ()
        raw = read_stored(paths[0], slices)
        return describe(raw), describe(to_ras(paths[0], raw))


def _mesh(path: Path) -> pv.PolyData:
    if suffix(path) in MESH_SUFFIXES:
        return read_mesh(path)
    occupancy, grid = read_volume(path)
    return surface(occupancy, grid, 0.5)


def _entry(skull: Path, record: str) -> dict:
    path = Path(record) if record else skull.with_name(f"{stem(skull)}.json")
    try:
        entry = json.loads(path.read_text(encoding="utf-8"))
        if np.array(entry[TRANSFORM]).shape == (4, 4) and entry[SCAN]:
            return entry
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise SkfmError(
        f"{path} is no record of a scan",
        "the JSON that skfm prepare wrote beside the patient's volume",
        "name it: --record DATASET/volumes/NAME.json",
    )


def _only(like: Path, sandbox: Sandbox) -> Source:
    """The one scan of a file or folder."""
    found = find_sources(like, like / "-", sandbox)
    if len(found.sources) != 1 or found.problems:
        why = next(iter(found.problems.values()), f"{len(found.sources)} scans")
        raise SkfmError(f"{like}: {why}", "one scan", "name its file or folder")
    return found.sources[0]


def _grid_like(like: Path, described: dict, sandbox: Sandbox) -> sitk.Image | None:
    """An empty image on the scan's own grid (None for a mesh), checked to be it."""
    raw, own = sandbox(grids, _only(like, sandbox))
    same = own.keys() == described.keys() and all(
        np.shape(own[key]) == np.shape(described[key])
        and np.allclose(own[key], described[key], atol=SAME)
        for key in own
    )
    if not same:
        raise SkfmError(
            f"{like} is not the scan of this skull: its grid is another",
            "the scan that skfm prepare made the record from",
            "name that scan, or another --record",
        )
    if not raw:
        return None
    image = sitk.Image(raw["size"], sitk.sitkUInt8)
    image.SetSpacing(raw["spacing"])
    image.SetOrigin(raw["origin"])
    image.SetDirection(raw["direction"])
    return image


def _painted(mesh: pv.PolyData, grid: sitk.Image | None) -> sitk.Image:
    """1 inside a mesh (RAS mm), 0 outside, on the grid of an image with any axes."""
    if grid is None:
        raise SkfmError(
            "a mesh has no grid for a volume", "a mesh file", "--out FILE.stl"
        )
    axes = np.array(grid.GetDirection()).reshape(3, 3) * grid.GetSpacing()
    points = mesh.points @ LPS_TO_RAS - grid.GetOrigin()
    index = (points @ np.linalg.inv(axes).T).astype(np.float32)
    columns, rows, slices = grid.GetSize()
    steps = pv.PolyData.from_regular_faces(index, mesh.regular_faces)
    bone = voxelise(steps, Grid((rows, columns, slices), 1.0, (0.0, 0.0, 0.0)))
    image = sitk.GetImageFromArray(bone.transpose(2, 0, 1).astype(np.uint8))
    image.CopyInformation(grid)
    return image
