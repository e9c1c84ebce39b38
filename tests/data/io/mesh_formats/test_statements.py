"""What comments say of unit and frame: used where the size agrees, and noted."""

import numpy as np
import pytest
import pyvista as pv
from ball_files import BALL, check

from skfm_lib.data.io.mesh_formats.statements import said
from skfm_lib.data.io.meshes import in_millimetres, read_mesh, write_mesh
from skfm_lib.utils.errors import SkfmError

UNITS = {
    "units: cm": "centimetres",
    "unit mm": "millimetres",
    "# Units: inches": "inches",
    "UNIT=m": "metres",
    "# File units = meters": "metres",
    "units are in cm": "centimetres",
    "Unit: µm": "micrometres",
    '"length_unit": "mm"': "millimetres",
    "solid skull (units: in)": "inches",
    "unit of length - MILLIMETRES; 200.0 wide": "millimetres",
    "vertex coordinates are measured in units, where 1 unit = 1000.000000 mm": "metres",
    "1 unit = 25.4 mm": "inches",
    "unit = 2 mm": "units of 2 mm",
    "all dimensions in mm": "millimetres",
    "coordinates (cm)": "centimetres",
    "exported in metres": "metres",
    "units in this file are unknown": "",
    "842 vertices in mesh": "",
    "unitless": "",
    "the community m": "",
    "mm": "",
}


@pytest.mark.parametrize("text", UNITS)
def test_units_in_words(text):
    assert said(text).unit == UNITS[text]


def commented(folder, kind: str, text: str, mesh: pv.PolyData) -> pv.PolyData:
    """A mesh with a comment, as `read_mesh` reads it."""
    path = folder / f"a{kind}"
    if kind == ".vtp":
        mesh = mesh.copy()
        name, _, value = text.partition("=")
        mesh.field_data[name] = [value]
        mesh.save(path)
        return read_mesh(path)
    write_mesh(path, mesh)
    content = path.read_bytes()
    if kind == ".stl":
        content = text.encode().ljust(80) + content[80:]
    elif kind == ".ply":
        content = content.replace(b"SPACE=RAS", text.encode())
    elif kind == ".obj":
        content = content.replace(b"SPACE=RAS", text.encode())
    else:
        content = f"# {text}\n".encode() + content
    path.write_bytes(content)
    return read_mesh(path)


KINDS = (".stl", ".ply", ".obj", ".off", ".vtp")


@pytest.mark.parametrize("kind", KINDS)
def test_a_stated_unit_is_used(tmp_path, kind):
    tenth = BALL.scale(0.05, inplace=False)  # 8 units: centimetres, inches …
    with pytest.raises(SkfmError, match="it may be in"):
        in_millimetres(BALL.scale(0.08, inplace=False))
    mesh, note = in_millimetres(commented(tmp_path, kind, "unit=cm", tenth))
    np.testing.assert_allclose(mesh.bounds, np.array(BALL.bounds) / 2, atol=1e-3)
    assert note == "converted from centimetres, as its file says"


@pytest.mark.parametrize("kind", KINDS)
def test_a_stated_unit_that_the_size_contradicts(tmp_path, kind):
    mesh, note = in_millimetres(commented(tmp_path, kind, "unit=m", BALL))
    check(mesh)
    assert note.startswith("taken as millimetres, although its file says metres")
    metres = BALL.scale(0.001, inplace=False)
    mesh, note = in_millimetres(commented(tmp_path, kind, "unit=mm", metres))
    check(mesh)
    assert note == "converted from metres, although its file says millimetres (0.16 mm)"
    huge = BALL.scale(20, inplace=False)
    with pytest.raises(SkfmError, match="units long, although its file says inches"):
        in_millimetres(commented(tmp_path, kind, "unit=inches", huge))


@pytest.mark.parametrize("kind", KINDS)
def test_the_frame_of_slicer(tmp_path, kind):
    for frame, center in (("RAS", (3, 4, 5)), ("LPS", (-3, -4, 5))):
        mesh = commented(tmp_path, kind, f"SPACE={frame}", BALL)
        np.testing.assert_allclose(mesh.center, center, atol=0.1)


@pytest.mark.parametrize("kind", [".stl", ".ply", ".obj", ".vtp"])
def test_files_say_that_they_are_ras(tmp_path, kind):
    write_mesh(tmp_path / f"a{kind}", BALL)
    if kind == ".vtp":
        assert pv.read(tmp_path / "a.vtp").field_data["SPACE"][0] == "RAS"
    else:
        assert b"SPACE=RAS" in (tmp_path / f"a{kind}").read_bytes()
