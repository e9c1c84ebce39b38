"""OBJ and OFF: meshes as lines of text."""

import re
from array import array

import numpy as np

from skfm_lib.data.io.mesh_formats.triangles import Mesh, Refused, fan

CUT = "it is cut short"
ANNOUNCED = re.compile(rb"^#\s*faces:\s*(\d+)", re.I | re.M)  # by MeshLab, and by us
CONTINUED = re.compile(rb"\\\r?\n")
UNUSED = 1e-3  # share of the points without a triangle that a whole file rarely exceeds
OFF_HEADER = re.compile(rb"(?:ST)?C?N?OFF", re.I)  # texture, colour, normals follow


def read_obj(content: bytes) -> Mesh:
    """Points and triangles of all groups and objects; polygons become triangles.

    An index may be relative to the points before its line (−1 is the last of them).
    What stands after x, y, z (a weight or a colour) and after "/" (texture and normal)
    is ignored, as are all lines but points and faces.

    An OBJ does not state its length.  Refused as cut short if a comment announces more
    faces, or if the last line has no end and either is incomplete or leaves points
    without triangles.  A file cut at the end of a line, or within the last number of
    its last face, cannot be told from a whole one.
    """
    points, corners, faces, short = array("d"), array("q"), 0, False
    lines = CONTINUED.sub(b" ", content).splitlines()
    for line in lines:
        words = line.partition(b"#")[0].split()
        kind = words[0].lower() if words else b""
        if kind == b"v":
            if len(words) < 4:
                raise Refused("it has points without a third coordinate")
            points.extend(float(word.replace(b",", b".")) for word in words[1:4])
        elif kind in (b"f", b"fo"):
            seen = len(points) // 3
            polygon = [int(word.partition(b"/")[0]) for word in words[1:]]
            corners.extend(fan([i - 1 if i > 0 else i + seen for i in polygon]))
            faces, short = faces + 1, len(polygon) < 3
    announced = [int(number) for number in ANNOUNCED.findall(content[:2000])]
    if sum(announced) > faces:
        raise Refused(f"{CUT}: it announces {sum(announced):,} faces and has {faces:,}")
    triangles = np.array(corners).reshape(-1, 3)
    if lines and not content.endswith((b"\n", b"\r")):
        unused = 1 - len(np.unique(triangles)) / max(1, len(points) // 3)
        if lines[-1].lstrip()[:1] in b"fv" and (short or unused > UNUSED):
            raise Refused(f"{CUT}: its last line has no end")
    return np.array(points).reshape(-1, 3), triangles


def read_off(content: bytes) -> Mesh:
    """Points and triangles of an OFF; polygons become triangles.

    Colours, normals and texture coordinates (COFF, NOFF, STOFF) are ignored.  Refused
    if the file is binary, has four coordinates a point, or fewer points or faces than
    it states.
    """
    lines = (line.partition(b"#")[0].split() for line in content.splitlines())
    rows = [words for words in lines if words]
    if not rows:
        raise Refused("it is empty")
    if not rows[0][0].isdigit():
        header = rows[0].pop(0)
        if not OFF_HEADER.fullmatch(header) or rows[0][:1] == [b"BINARY"]:
            remedy = "save it as text, with three coordinates a point"
            raise Refused("it is an OFF of a kind that is not supported", remedy)
        rows = rows if rows[0] else rows[1:]
    n_points, n_faces = int(rows[0][0]), int(rows[0][1])
    if len(rows) < 1 + n_points + n_faces:
        raise Refused(f"{CUT}: it states {n_points:,} points and {n_faces:,} faces")
    points = np.array([row[:3] for row in rows[1 : 1 + n_points]], float)
    corners = array("q")
    for row in rows[1 + n_points : 1 + n_points + n_faces]:
        size = int(row[0])
        polygon = [int(word) for word in row[1 : 1 + size]]
        if len(polygon) < size:
            raise Refused(f"{CUT}: its last faces are missing")
        corners.extend(fan(polygon))
    return points.reshape(-1, 3), np.array(corners).reshape(-1, 3)
