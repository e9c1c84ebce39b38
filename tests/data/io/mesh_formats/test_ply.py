"""PLY as programs write it: the same ball, or a true refusal."""

import struct

import numpy as np
import pytest
from ball_files import BALL, FACES, POINTS, check, read

from skfm_lib.utils.errors import SkfmError


def ply(
    order: str, number: str, faces: str, rows: bytes, points: np.ndarray = POINTS
) -> bytes:
    """A PLY of points, with faces that are given."""
    axes = "".join(f"property {number} {axis}\n" for axis in "xyz")
    head = f"ply\nformat {order} 1.0\ncomment a\n"
    head += f"element vertex {len(points)}\n{axes}{faces}end_header\n"
    sign = "<" if "little" in order else ">"
    content = points.astype(sign + {"float": "f4", "double": "f8"}[number]).tobytes()
    if order == "ascii":
        content = "".join("{} {} {}\n".format(*point) for point in points).encode()
    return head.encode() + content + rows


LIST = "property list uchar int vertex_indices\n"


@pytest.mark.parametrize("number", ["float", "double"])
@pytest.mark.parametrize("order", ["little", "big"])
def test_binary_ply(tmp_path, order, number):
    sign = "<" if order == "little" else ">"
    rows = (struct.pack(f"{sign}fB3iB", 0.5, 3, *face, 7) for face in FACES)
    properties = f"property float quality\n{LIST}property uchar flags\n"
    faces = f"element face {len(FACES)}\n{properties}"
    whole = ply(f"binary_{order}_endian", number, faces, b"".join(rows) + b"\n")
    check(read(tmp_path, "a.ply", whole))
    with pytest.raises(SkfmError, match="cut short: rows that its header states"):
        read(tmp_path, "a.ply", whole[:-3])


@pytest.mark.parametrize("order", ["ascii", "binary_little_endian"])
def test_polygons_of_several_sizes(tmp_path, order):
    tent = np.array([[0, 0, 0], [0, 90, 0], [90, 90, 0], [90, 0, 0], [45, 45, 80]])
    polygons = [[0, 1, 2, 3], [0, 4, 1], [1, 4, 2], [2, 4, 3], [3, 4, 0]]
    faces, rows = f"element face 5\n{LIST}", [[len(one), *one] for one in polygons]
    if order == "ascii":
        content = "".join(" ".join(map(str, row)) + "\n" for row in rows).encode()
    else:
        content = b"".join(struct.pack(f"<B{row[0]}i", *row) for row in rows)
    mesh = read(tmp_path, "a.ply", ply(order, "float", faces, content, points=tent))
    assert mesh.n_cells == 6 and mesh.n_open_edges == 0
    assert mesh.volume == pytest.approx(90 * 90 * 80 / 3)


def test_text_ply(tmp_path):
    rows = "".join("3 {} {} {} 0.5\n".format(*face) for face in FACES).encode()
    faces = f"element face {len(FACES)}\n{LIST}property float quality\n"
    whole = ply("ascii", "float", faces, rows)
    check(read(tmp_path, "a.ply", whole))
    check(read(tmp_path, "a.ply", whole.replace(b"\n", b"\r\n")))
    with pytest.raises(SkfmError, match="cut short: rows that its header states"):
        read(tmp_path, "a.ply", whole[: whole.rstrip().rfind(b"\n")])


def test_strips_of_a_ply(tmp_path):
    stripped = BALL.strip().strips
    strips, at = [], 0
    while at < len(stripped):
        strips.append(stripped[at + 1 : at + 1 + stripped[at]])
        at += 1 + stripped[at]
    joined = np.concatenate([[*one, -1] for one in strips])  # as Stanford's files do
    rows = struct.pack("<i", len(joined)) + joined.astype("<i4").tobytes()
    faces = "element tristrips 1\nproperty list int int vertex_indices\n"
    check(read(tmp_path, "a.ply", ply("binary_little_endian", "float", faces, rows)))


def test_clouds_of_points_are_refused(tmp_path):
    with pytest.raises(SkfmError, match="it holds points and no triangles"):
        read(tmp_path, "a.ply", ply("binary_big_endian", "double", "", b""))
