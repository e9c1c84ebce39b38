"""Triangle meshes as files, in RAS millimetres.

STL, PLY, OBJ, OFF, VTP and GLB do not define a patient frame: they are read as RAS
unless the file says ``SPACE=LPS``, as those of 3D Slicer do.  Nor do they define a
unit: it is inferred from the size of a head.
"""

from pathlib import Path

import numpy as np
import pyvista as pv
import trimesh
from vtkmodules.vtkIOXML import vtkXMLPolyDataReader, vtkXMLPolyDataWriter

from skfm_lib.utils import files
from skfm_lib.utils.errors import SkfmError

MESH_SUFFIXES = (".stl", ".ply", ".obj", ".off", ".vtp", ".glb")
HEAD = (60.0, 450.0)  # mm: largest extent of a part of a skull … a head with neck
LIKELY = (120.0, 350.0)  # mm: the same of nearly every scan of a head
UNITS = {"metres": 1000.0, "centimetres": 10.0, "inches": 25.4, "micrometres": 0.001}
UNUSED = 1e-3  # share of an OBJ's points without a triangle: more is a truncated file
HEADER = 2000  # bytes in which a writer names the frame
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # LPS to RAS


def read_mesh(path: Path) -> pv.PolyData:
    """A triangle mesh in RAS, in the file's own unit; coincident points are merged.

    Raises:
        SkfmError: if the file cannot be read completely, holds no triangles, or has
            triangles of points that do not exist or are not finite.  An OBJ counts as
            complete if its points have triangles, since it does not state its length.
    """
    path, kind = Path(path), files.suffix(path)
    files.check_present(path, MESH_SUFFIXES)
    try:
        points, faces = _vtp(path) if kind == ".vtp" else _plain(path, kind)
    except MemoryError:
        raise
    except Exception as reason:  # mesh readers raise many types
        raise files.unreadable(path) from reason
    if len(points) == 0 or len(faces) == 0:
        raise files.unreadable(path, "it holds no triangles")
    if not (0 <= faces.min() and faces.max() < len(points)):
        raise files.unreadable(path, "its triangles name points that do not exist")
    if not np.isfinite(points).all():
        raise files.unreadable(path, "it has points that are NaN or infinite")
    mesh = pv.PolyData.from_regular_faces(points, faces)
    mesh = mesh.clean(lines_to_points=False, polys_to_lines=False, tolerance=0.0)
    if kind == ".obj" and mesh.n_points < (1 - UNUSED) * _obj_points(path):
        raise files.unreadable(path, "it is cut short: it has points without triangles")
    with path.open("rb") as stream:
        lps = b"SPACE=LPS" in stream.read(HEADER)
    return mesh.transform(HALF_TURN, inplace=False) if lps else mesh


def in_millimetres(mesh: pv.PolyData) -> tuple[pv.PolyData, str]:
    """The mesh in millimetres, and a note on the conversion, or "".

    An extent within HEAD is taken as millimetres.  Otherwise the unit is the one in
    which the mesh is as large as a head (LIKELY); SkfmError if none or several are.

    >>> in_millimetres(pv.Sphere(radius=0.1))[1]
    'converted from metres'
    """
    extent = float(np.ptp(mesh.points, axis=0).max())
    if HEAD[0] <= extent <= HEAD[1]:
        return mesh, ""
    units = [u for u, mm in UNITS.items() if LIKELY[0] <= extent * mm <= LIKELY[1]]
    if len(units) != 1:
        among = f" (it may be in {' or '.join(units)})" if units else ""
        found = f"the mesh is {extent:.4g} units long{among}"
        expected = f"a skull in millimetres, {HEAD[0]:.0f}–{HEAD[1]:.0f} long"
        raise SkfmError(found, expected, "scale it to millimetres and save it again")
    (unit,) = units
    return mesh.scale(UNITS[unit], inplace=False), f"converted from {unit}"


def write_mesh(path: Path, mesh: pv.PolyData) -> None:
    """Write a mesh in RAS mm as STL, PLY, OBJ, OFF, VTP or GLB, by the suffix.

    STL and PLY contain ``SPACE=RAS``, which 3D Slicer needs to position them.
    SkfmError for another suffix, or if the file cannot be written.
    """
    files.check_suffix(Path(path), MESH_SUFFIXES)
    with files.replacing(Path(path)) as temporary:
        temporary.write_bytes(_encoded(mesh, files.suffix(path)))


def _plain(path: Path, kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Points and triangles of all formats but VTP; ValueError for a truncated file."""
    if kind == ".stl" and not _complete_stl(path):
        raise ValueError("cut short")
    mesh = trimesh.load_scene(path, process=False, skip_materials=True).to_mesh()
    if mesh.vertices.shape[1] != 3:
        raise ValueError("points without a third coordinate")
    if kind == ".off" and len(mesh.faces) < _off_faces(path):
        raise ValueError("cut short")
    return np.asarray(mesh.vertices, np.float32), np.asarray(mesh.faces)


def _complete_stl(path: Path) -> bool:
    """Whether a text STL has its last line, or a binary one all of its triangles."""
    content = path.read_bytes()
    count = int.from_bytes(content[80:84], "little")
    return len(content) == 84 + 50 * count or b"endsolid" in content[-200:]


def _obj_points(path: Path) -> int:
    """How many different points an OBJ file lists."""
    with path.open("rb") as stream:
        return len({line for line in stream if line.startswith(b"v ")})


def _off_faces(path: Path) -> int:
    """The number of faces that an OFF file announces, the second in its header."""
    with path.open(encoding="utf-8", errors="replace") as stream:
        lines = (line.partition("#")[0].replace("OFF", " ") for line in stream)
        numbers = next(words for words in map(str.split, lines) if words)
    return int(numbers[1])


def _vtp(path: Path) -> tuple[np.ndarray, np.ndarray]:
    if not path.read_bytes().rstrip().endswith(b"</VTKFile>"):
        raise ValueError("cut short")
    reader = vtkXMLPolyDataReader()
    reader.SetFileName(str(path))
    with pv.VtkErrorCatcher(raise_errors=True, send_to_logging=False):
        reader.Update()
    mesh = pv.wrap(reader.GetOutput()).triangulate()
    return np.asarray(mesh.points, np.float32), np.asarray(mesh.regular_faces)


def _encoded(mesh: pv.PolyData, kind: str) -> bytes:
    """The mesh as a file's content; VTK crashes when it writes to a full disk."""
    if kind == ".vtp":
        writer = vtkXMLPolyDataWriter()
        writer.SetInputData(mesh)
        writer.SetDataModeToBinary()
        writer.WriteToOutputStringOn()
        writer.Write()
        return writer.GetOutputString().encode()
    plain = trimesh.Trimesh(mesh.points, mesh.regular_faces, process=False)
    exported = plain.export(file_type=kind[1:])
    content = exported if isinstance(exported, bytes) else str(exported).encode()
    if kind == ".stl":
        return b"SPACE=RAS".ljust(80) + content[80:]
    if kind == ".ply":
        return content.replace(b"\ncomment", b"\ncomment SPACE=RAS\ncomment", 1)
    return content
