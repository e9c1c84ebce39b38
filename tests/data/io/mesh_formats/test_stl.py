"""STL as programs write it: the same ball, or a true refusal."""

import struct

import numpy as np
import pytest
from ball_files import FACES, POINTS, check, read

from skfm_lib.utils.errors import SkfmError

CORNERS = POINTS[FACES]


def text_stl(corners: np.ndarray = CORNERS, name: str = " a") -> str:
    """An STL as text."""
    facets = "".join(
        "facet normal nan nan nan\n  outer loop\n"
        + "".join(f"    vertex {x:.5e} {y:.5e} {z:.5e}\n" for x, y, z in triangle)
        + "  endloop\nendfacet\n"
        for triangle in corners
    )
    return f"solid{name}\n{facets}endsolid{name}\n"


def binary_stl(
    header: bytes = b"",
    count: int = len(FACES),
    first: int = 0,
    last: int | None = None,
) -> bytes:
    """A binary STL of some of the triangles; it states `count`."""
    triangles = CORNERS[first:last].astype("<f4")
    rows = (bytes(12) + triangle.tobytes() + b"\x12\x80" for triangle in triangles)
    return header.ljust(80)[:80] + struct.pack("<I", count) + b"".join(rows)


TEXT_STL = {
    "upper case": text_stl().upper(),
    "end solid": text_stl().replace("endsolid", "end solid"),
    "no name": text_stl(name=""),
    "long names": text_stl(name=" " + "skull " * 80),
    "a name with keywords": text_stl(name=" vertex facet of a skull"),
    "no last line end": text_stl().rstrip("\n"),
    "Windows": text_stl().replace("\n", "\r\n"),
    "old Mac": text_stl().replace("\n", "\r"),
    "leading blanks": "\n \t" + text_stl(),
    "a byte order mark": "\ufeff" + text_stl(),
    "several solids": text_stl(CORNERS[:50]) + text_stl(CORNERS[50:]),
    "a comment below": text_stl() + "# done\n\n",
    "colours of Magics": text_stl().replace("endloop", "endloop\ncolor 1 0 0"),
    "decimal commas": text_stl().replace(".", ","),
}


@pytest.mark.parametrize("kind", TEXT_STL)
def test_text_stl(tmp_path, kind):
    check(read(tmp_path, "a.stl", TEXT_STL[kind]))


BINARY_STL = {
    "solid in the header": binary_stl(b"solid by SolidWorks"),
    "colours of Magics": binary_stl(b"COLOR=\1\2\3\xffMATERIAL=\1"),
    "a line end": binary_stl() + b"\r\n",
    "a signature": binary_stl() + bytes(92),
    "several solids": binary_stl(b"a", 50, 0, 50)
    + binary_stl(b"solid b", len(FACES) - 50, 50),
}


@pytest.mark.parametrize("kind", BINARY_STL)
def test_binary_stl(tmp_path, kind):
    check(read(tmp_path, "a.stl", BINARY_STL[kind]))


@pytest.mark.parametrize("header", [b"", b"solid by SolidWorks"])
@pytest.mark.parametrize(
    ("count", "message"),
    [
        (0, "it states 0 triangles and has room for 240"),
        (5, "it states 5 triangles and has room for 240"),
        (241, "it states 241 triangles and holds 240"),
        (2**32 - 1, "it states 4,294,967,295 triangles and holds 240"),
    ],
)
def test_a_wrong_count_is_told(tmp_path, header, count, message):
    with pytest.raises(SkfmError, match=message):
        read(tmp_path, "a.stl", binary_stl(header, count))
