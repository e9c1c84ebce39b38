"""OBJ and OFF as programs write them: the same ball, or a true refusal."""

import numpy as np
import pytest
from ball_files import BALL, FACES, POINTS, check, read

from skfm_lib.utils.errors import SkfmError

VERTICES = "".join(f"v {x:.6e} {y:.6e} {z:.6e}\n" for x, y, z in POINTS)
FACE_LINES = ["f {} {} {}\n".format(*face) for face in FACES + 1]
OBJ = VERTICES + "".join(FACE_LINES)
OBJ_KINDS = {
    "unused points": VERTICES + "v 0 0 999\n" * 50 + "".join(FACE_LINES),
    "relative": VERTICES
    + "".join("f {} {} {}\n".format(*f) for f in FACES - len(POINTS)),
    "relative, interleaved": "".join(
        "".join("v {} {} {}\n".format(*p) for p in triangle) + "f -3 -2 -1\n"
        for triangle in POINTS[FACES]
    ),
    "colours": VERTICES.replace("\n", " 0.5 0.5 0.5\n") + "".join(FACE_LINES),
    "weights": VERTICES.replace("\n", " 1.0\n") + "".join(FACE_LINES),
    "textures and normals": "mtllib none.mtl\nusemtl bone\ns off\n"
    + VERTICES
    + "vt 0 0\nvn 0 0 1\n"
    + "".join("f {}/1/1 {}//1 {}/1\n".format(*f) for f in FACES + 1),
    "groups": VERTICES + "g a\n" + "o b\n".join(FACE_LINES),
    "continued lines": OBJ.replace("f ", "f \\\n "),
    "Windows": OBJ.replace("f ", "f \\\n ").replace("\n", "\r\n"),
    "no last line end": OBJ.rstrip("\n"),
    "comments": "# a\n" + OBJ.replace("\n", " # b\n"),
    "decimal commas": OBJ.replace(".", ","),
}


@pytest.mark.parametrize("kind", OBJ_KINDS)
def test_obj(tmp_path, kind):
    check(read(tmp_path, "a.obj", OBJ_KINDS[kind]))


def test_polygons_of_an_obj(tmp_path):
    cube = "".join(
        f"v {x} {y} {z}\n" for x in (0, 90) for y in (0, 90) for z in (0, 90)
    )
    sides = ("1 2 4 3", "5 7 8 6", "1 5 6 2", "3 4 8 7", "1 3 7 5", "2 6 8 4")
    mesh = read(tmp_path, "a.obj", cube + "".join(f"f {side}\n" for side in sides))
    assert mesh.n_cells == 12 and mesh.n_open_edges == 0
    assert mesh.volume == pytest.approx(90**3)


@pytest.mark.parametrize("short", [1, 5, 9, 500])
def test_an_obj_cut_within_a_line(tmp_path, short):
    with pytest.raises(SkfmError, match="it is cut short: its last line has no end"):
        read(tmp_path, "a.obj", (VERTICES + "".join(FACE_LINES[:-60]))[:-short])


def test_an_obj_with_fewer_faces_than_it_announces(tmp_path):
    announced = f"# Vertices: {len(POINTS)}\n# Faces: {len(FACES)}\n"
    check(read(tmp_path, "a.obj", announced + OBJ))
    with pytest.raises(SkfmError, match="it announces 240 faces and has 239"):
        read(tmp_path, "a.obj", announced + VERTICES + "".join(FACE_LINES[1:]))


def off(header: str, after: str = "", color: str = "") -> str:
    """An OFF; `after` follows every point, `color` every face."""
    points = "".join(f"{x} {y} {z}{after}\n" for x, y, z in POINTS)
    faces = "".join("3 {} {} {}".format(*face) + color + "\n" for face in FACES)
    return f"{header}{len(POINTS)} {len(FACES)} 0\n{points}{faces}"


OFF_KINDS = {
    "one line": off("OFF "),
    "comments": off("# a\nOFF # b\n\n# c\n"),
    "COFF": off("COFF\n", " 255 0 0 255"),
    "NOFF": off("NOFF\n", " 0 0 1", " 0.5 0.5 0.5"),
    "no header": off(""),
}


@pytest.mark.parametrize("kind", OFF_KINDS)
def test_off(tmp_path, kind):
    check(read(tmp_path, "a.off", OFF_KINDS[kind]))
    with pytest.raises(SkfmError, match=f"states {len(POINTS)} points and 240 faces"):
        read(tmp_path, "a.off", OFF_KINDS[kind][:-50])


@pytest.mark.parametrize("header", ["4OFF\n", "OFF BINARY\n"])
def test_off_of_other_kinds_is_named(tmp_path, header):
    with pytest.raises(SkfmError, match="OFF of a kind that is not supported"):
        read(tmp_path, "a.off", off(header))


@pytest.mark.parametrize(
    ("name", "content"),
    [("a.obj", VERTICES), ("a.off", off("OFF\n").replace(" 240 0", " 0 0"))],
)
def test_clouds_of_points_are_refused(tmp_path, name, content):
    with pytest.raises(SkfmError, match="it holds points and no triangles"):
        read(tmp_path, name, content)


def test_duplicate_and_degenerate_triangles(tmp_path):
    more = [*FACE_LINES, *FACE_LINES[:30], "f 1 1 2\n", "f 3 3 3\n"]
    mesh = read(tmp_path, "a.obj", VERTICES + "".join(more))
    assert mesh.n_points == BALL.n_points and mesh.is_all_triangles
    np.testing.assert_allclose(mesh.bounds, BALL.bounds, atol=1e-3)
