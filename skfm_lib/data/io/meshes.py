"""Triangle meshes as files, in RAS millimetres.

glTF and GLB are in metres, y upwards and facing +z.  STL, PLY, OBJ, OFF and VTP define
neither unit nor frame: comments that name them are read.  Without one, meshes are taken
as RAS, and the unit is inferred from the size of a head.
"""

import re
from pathlib import Path

import numpy as np
import pyvista as pv
import trimesh
from trimesh.exchange.gltf import export_gltf
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from skfm_lib.data.io.mesh_formats.gltf import read_gltf
from skfm_lib.data.io.mesh_formats.obj import read_obj, read_off
from skfm_lib.data.io.mesh_formats.ply import read_ply
from skfm_lib.data.io.mesh_formats.statements import (
    BEGINNING,
    GLTF,
    MILLIMETRES,
    Statement,
    comments,
    said,
)
from skfm_lib.data.io.mesh_formats.stl import BLANKS, is_exact, read_stl
from skfm_lib.data.io.mesh_formats.triangles import Refused
from skfm_lib.utils import files
from skfm_lib.utils.errors import SkfmError

MESH_SUFFIXES = (".stl", ".ply", ".obj", ".off", ".vtp", ".glb", ".gltf")
READERS = {".stl": read_stl, ".ply": read_ply, ".obj": read_obj, ".off": read_off}
SCENES = (".glb", ".gltf")
HEAD = (60.0, 450.0)  # mm: largest extent of a part of a skull … a head with neck
LIKELY = (120.0, 350.0)  # mm: the same of nearly every scan of a head
LARGEST = 1.0  # m: what a glTF may extend over to be in metres, as it should
HALF_TURN = np.diag([-1.0, -1.0, 1.0])  # LPS to RAS
UPRIGHT = np.array([[-1.0, 0, 0], [0, 0, 1], [0, 1, 0]])  # glTF to RAS, and back
UNIT, NOTE, AXES = "unit", "note", "axes"  # field data of a mesh that was read
BEGINNINGS = {  # of files whose suffix may say something else
    re.compile(rb"ply\r?\n"): ".ply",
    re.compile(rb"glTF"): ".glb",
    re.compile(rb"\{\s*\""): ".gltf",
    re.compile(rb"<(\?xml|VTKFile)"): ".vtp",
    re.compile(rb"(ST)?C?N?OFF\b"): ".off",
    re.compile(rb"solid\b[^\0]*?\n\s*facet\s", re.I): ".stl",
    re.compile(rb"(#[^\n\0]*\n|[a-z][^\n\0]*\n|\s)*?v +[-+.\d]"): ".obj",
}
OTHERS = {  # what else is found under the name of a mesh
    b"PK\3\4": ("a zip archive or 3MF", "unpack it, or save it as STL"),
    b"\x1f\x8b": ("compressed by gzip", "unpack it"),
    b"# vtk DataFile": ("a legacy VTK file", "save it as .vtp or .ply"),
    b"ISO-10303": ("a STEP file", "save its surface as STL"),
    b"#VRML": ("a VRML file", "save it as .ply or .stl"),
    b"Kaydara": ("an FBX file", "save it as .glb or .ply"),
    b"<!DOCTYPE": ("a web page", "download the mesh itself"),
    b"<html": ("a web page", "download the mesh itself"),
    b"version https://git-lfs": ("a pointer of Git LFS", "fetch it with git lfs pull"),
}


def read_mesh(path: Path) -> pv.PolyData:
    """A triangle mesh in RAS; coincident points are merged, unused ones dropped.

    It is in millimetres if the file states its unit (glTF: metres, by definition) and
    its size does not contradict, otherwise in the file's own unit.  A glTF that is too
    large for metres is taken as RAS, too, because programs that ignore the definition
    of the unit ignore that of the axes.  A file of another format than its suffix
    says is read as what it is.

    The field data hold the UNIT, "mm" if it is known, a NOTE on what was decided, and
    AXES, if the file does not say which of them is up.

    Raises:
        SkfmError: if the file cannot be read completely, holds no triangles, or has
            triangles of points that do not exist or are not finite.  `read_obj` says
            what cannot be told of an OBJ.
    """
    path = Path(path)
    files.check_present(path, MESH_SUFFIXES)
    content = path.read_bytes()
    try:
        kind = _kind(path, content)
        points, faces, statement = _contents(path, kind, content)
        _check(points, faces)
    except Refused as reason:
        found = f"{path} cannot be read ({reason})"
        expected = f"a whole {files.suffix(path)} file"
        raise SkfmError(found, expected, reason.remedy) from None
    except MemoryError:
        raise
    except Exception as reason:  # readers raise many types
        raise files.unreadable(path) from reason
    points, unit, note = _stated(points, faces, statement, kind in SCENES)
    points = points.astype(np.float32)
    mesh = pv.PolyData.from_regular_faces(points, faces)
    mesh = mesh.clean(lines_to_points=False, polys_to_lines=False, tolerance=0.0)
    mesh.field_data[UNIT], mesh.field_data[NOTE] = [unit], [note]
    if not statement.space:
        mesh.field_data[AXES] = ["unknown"]
    return mesh


def in_millimetres(mesh: pv.PolyData) -> tuple[pv.PolyData, str]:
    """The mesh in millimetres, and a note on its unit and frame, or "".

    Where `read_mesh` did not find a unit, an extent within HEAD is taken as
    millimetres.  Otherwise the unit is the one in which the mesh is as large as a head
    (LIKELY).

    Raises:
        SkfmError: if no unit or several make it a head, or a known one does not.

    >>> in_millimetres(pv.Sphere(radius=0.1))[1]
    'converted from metres'
    """
    extent = float(np.ptp(mesh.points, axis=0).max())
    known = _field(mesh, UNIT) == "mm"
    note = _field(mesh, NOTE)
    if HEAD[0] <= extent <= HEAD[1]:
        return mesh, note if known or not note else f"taken as millimetres, {note}"
    units = [
        unit
        for unit, mm in MILLIMETRES.items()
        if LIKELY[0] <= extent * mm <= LIKELY[1] and not known
    ]
    if len(units) != 1:
        among = f" (it may be in {' or '.join(units)})" if units else ""
        found = f"the mesh is {extent:.4g} {'mm' if known else 'units'} long{among}"
        found += f", {note}" if note else ""
        expected = f"a skull in millimetres, {HEAD[0]:.0f}–{HEAD[1]:.0f} long"
        raise SkfmError(found, expected, "scale it to millimetres and save it again")
    (unit,) = units
    note = ", ".join(filter(None, (f"converted from {unit}", note)))
    return mesh.scale(MILLIMETRES[unit], inplace=False), note


def write_mesh(path: Path, mesh: pv.PolyData) -> None:
    """Write a mesh in RAS mm in the format that the suffix names.

    glTF and GLB are in metres, y upwards and facing +z, as glTF defines it.  STL, PLY,
    OBJ and VTP contain ``SPACE=RAS``, which 3D Slicer needs to position them.
    SkfmError for another suffix, or if the file cannot be written.
    """
    files.check_suffix(Path(path), MESH_SUFFIXES)
    with files.replacing(Path(path)) as temporary:
        temporary.write_bytes(_encoded(mesh, files.suffix(path)))


def _field(mesh: pv.PolyData, name: str) -> str:
    return str(mesh.field_data[name][0]) if name in mesh.field_data else ""


def _kind(path: Path, content: bytes) -> str:
    """The format, as the suffix of its files; Refused if it is none of a mesh."""
    if is_exact(content):  # its header may begin with anything
        return ".stl"
    beginning = content[:BEGINNING].lstrip(BLANKS)
    for magic, (name, remedy) in OTHERS.items():
        if beginning.startswith(magic):
            raise Refused(f"it is {name}", remedy)
    kinds = (kind for magic, kind in BEGINNINGS.items() if magic.match(beginning))
    return next(kinds, files.suffix(path))


def _contents(
    path: Path, kind: str, content: bytes
) -> tuple[np.ndarray, np.ndarray, Statement]:
    """Points, triangles and what the file says of them."""
    if kind in SCENES:
        return *read_gltf(content, path.parent), GLTF
    if kind == ".vtp":
        return _vtp(path, content)
    return *READERS[kind](content), said(comments(kind, content))


def _check(points: np.ndarray, faces: np.ndarray) -> None:
    """Refused for a mesh without triangles, or with triangles of no points."""
    if len(points) and not len(faces):
        remedy = "save the surface: points alone are none"
        raise Refused("it holds points and no triangles", remedy)
    if not len(faces):
        raise Refused("it holds no triangles")
    if not (0 <= faces.min() and faces.max() < len(points)):
        raise Refused("its triangles name points that do not exist")
    if not np.isfinite(points[faces]).all():
        raise Refused("it has points that are NaN or infinite")


def _stated(
    points: np.ndarray, faces: np.ndarray, statement: Statement, scene: bool
) -> tuple[np.ndarray, str, str]:
    """Points in RAS, the unit ("mm" if it is known, or ""), and a note.

    A statement counts if the mesh is as large as (a part of) a head by it.
    """
    points = points @ HALF_TURN if statement.space == "LPS" else points
    extent = float(np.ptp(points[faces.ravel()], axis=0).max())
    if scene and extent <= LARGEST:
        return 1000 * points @ UPRIGHT, "mm", "converted from metres, y up (glTF)"
    if not statement.unit:
        return points, "", ""
    length = extent * statement.millimetres
    if HEAD[0] <= length <= HEAD[1]:
        converted = f"converted from {statement.unit}, as its file says"
        note = "" if statement.millimetres == 1 else converted
        return statement.millimetres * points, "mm", note
    source = "a glTF is in" if scene else "its file says"
    axes = "; its axes are taken as right, front, up" if scene else ""
    size = f"{length:,.0f}" if length >= 10 else f"{length:.2g}"
    note = f"although {source} {statement.unit} ({size} mm){axes}"
    return points, "", note


def _vtp(path: Path, content: bytes) -> tuple[np.ndarray, np.ndarray, Statement]:
    if not content.rstrip().endswith(b"</VTKFile>"):
        raise Refused("it is cut short: its last line, </VTKFile>, is missing")
    if not re.search(rb"type\s*=\s*[\"']PolyData", content[:BEGINNING]):
        raise Refused("it is an XML file, but no surface of VTK", "save it as .vtp")
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    with pv.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
        reader.Update()
    mesh = pv.wrap(reader.GetOutput())
    text = "\n".join(
        f"{name}={value}"
        for name in mesh.field_data
        for value in np.atleast_1d(mesh.field_data[name])[:10]
        if isinstance(value, str)
    )
    mesh = mesh.triangulate()
    return np.asarray(mesh.points), np.asarray(mesh.regular_faces), said(text)


def _encoded(mesh: pv.PolyData, kind: str) -> bytes:
    """The mesh as a file's content; VTK crashes when it writes to a full disk."""
    if kind == ".vtp":
        bare = pv.PolyData.from_regular_faces(mesh.points, mesh.regular_faces)
        bare.field_data["SPACE"] = ["RAS"]
        writer = vtkXMLPolyDataWriter()
        writer.SetInputData(bare)
        writer.SetDataModeToBinary()
        writer.WriteToOutputStringOn()
        writer.Write()
        return writer.GetOutputString().encode()
    points = mesh.points @ UPRIGHT / 1000 if kind in SCENES else mesh.points
    plain = trimesh.Trimesh(points, mesh.regular_faces, process=False)
    if kind == ".gltf":
        return export_gltf(trimesh.Scene(plain), embed_buffers=True)["model.gltf"]
    exported = plain.export(file_type=kind[1:])
    content = exported if isinstance(exported, bytes) else str(exported).encode()
    if kind == ".stl":
        return b"SPACE=RAS".ljust(80) + content[80:]
    if kind == ".ply":
        return content.replace(b"\ncomment", b"\ncomment SPACE=RAS\ncomment", 1)
    if kind == ".obj":
        return f"# SPACE=RAS\n# Faces: {mesh.n_cells}\n".encode() + content
    return content
