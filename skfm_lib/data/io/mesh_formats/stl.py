"""STL, text and binary."""

import re
from array import array

import numpy as np

from skfm_lib.data.io.mesh_formats.triangles import Mesh, Refused

HEADER, COUNT = 80, 4  # bytes: any text, then the number of triangles
RECORD = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("rest", "<u2")])
BLANKS = b"\xef\xbb\xbf \t\r\n"  # may precede a text, as UTF-8's mark does
TRAILING = 4096  # bytes after the last triangle: line ends, a signature, a colour table
NAMES = re.compile(rb"^[ \t]*(?:end[ \t]*)?solid\b.*$", re.M)
END = re.compile(rb"^[ \t]*end[ \t]*solid\b", re.M)
WORDS = re.compile(rb"\b(facet|end[ \t]*solid)\b", re.I)  # after the name
FACET = re.compile(rb"(?<!\S)facet\s")
CORNER = re.compile(rb"(?<!\S)vertex\s+(\S+)\s+(\S+)\s+(\S+)")


def is_binary(content: bytes) -> bool:
    """Whether an STL is binary: some binary ones begin with "solid", too."""
    named = content[:HEADER].lstrip(BLANKS).lower().startswith(b"solid")
    return not named or is_exact(content) or not WORDS.search(content, 0, 4096)


def is_exact(content: bytes) -> bool:
    """Whether bytes are a binary STL by their length alone."""
    return 0 < _count(content, 0) == (len(content) - HEADER - COUNT) / RECORD.itemsize


def read_stl(content: bytes) -> Mesh:
    """Points (three for each triangle) and triangles; normals and colours are ignored.

    Refused if the file is cut short, or a binary one does not hold the number of
    triangles that it states, but for a few bytes after the last one.
    """
    corners = _binary(content) if is_binary(content) else _text(content)
    return corners, np.arange(len(corners)).reshape(-1, 3)


def _text(content: bytes) -> np.ndarray:
    text = content.lower().replace(b"\r", b"\n").replace(b",", b".")
    ends = [match.start() for match in END.finditer(text)]
    text = NAMES.sub(lambda name: b" " * len(name[0]), text)  # they may say "vertex"
    if not ends or text.rfind(b"facet") > ends[-1]:
        raise Refused("it is cut short: its last line, endsolid, is missing")
    values = array("d")
    for corner in CORNER.finditer(text):
        values.extend(map(float, corner.groups()))
    if len(values) != 9 * sum(1 for _ in FACET.finditer(text)):
        raise Refused("it has facets without three corners")
    return np.array(values).reshape(-1, 3)


def _binary(content: bytes) -> np.ndarray:
    """Corners of all triangles; some programs write several solids, one after another.

    Each has a header of its own.
    """
    parts: list[np.ndarray] = []
    start = 0
    while not parts or 0 < _count(content, start) <= _room(content, start):
        count, room = _count(content, start), _room(content, start)
        if count > room:
            raise Refused(f"it states {count:,} triangles and holds {room:,}")
        begin = start + HEADER + COUNT
        parts.append(np.frombuffer(content, RECORD, count, begin)["corners"])
        start = begin + count * RECORD.itemsize
    if len(content) - start > TRAILING:
        count, room = sum(map(len, parts)), _room(content, 0)
        raise Refused(f"it states {count:,} triangles and has room for {room:,}")
    return np.concatenate(parts).reshape(-1, 3)


def _count(content: bytes, start: int) -> int:
    """The number of triangles that the solid at a byte states."""
    return int.from_bytes(content[start + HEADER : start + HEADER + COUNT], "little")


def _room(content: bytes, start: int) -> int:
    """How many triangles fit between a solid's header and the end of the file."""
    return max(0, len(content) - start - HEADER - COUNT) // RECORD.itemsize
