"""PLY, text and binary of both byte orders."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from skfm_lib.data.io.mesh_formats.triangles import Mesh, Refused, fan, strip

NUMBERS = {  # name in a header → code of a number
    **{"char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4"},
    **{"uint": "u4", "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1"},
    **{"int16": "i2", "uint16": "u2", "int32": "i4", "uint32": "u4"},
    **{"float32": "f4", "float64": "f8"},
}
ORDERS = {"binary_little_endian": "<", "binary_big_endian": ">"}
LISTS = ("face", "tristrips")  # elements whose rows are lists of points
POINTS = ("vertex_indices", "vertex_index")  # these lists
END = b"end_header"
CUT = "it is cut short: rows that its header states are missing"

Columns = dict[str, np.ndarray | list[np.ndarray]]  # (rows, n), or a list of rows (n,)


@dataclass
class _Element:
    """A table of a PLY: its columns are (name, number, length's number or "")."""

    name: str
    count: int
    columns: list[tuple[str, str, str]] = field(default_factory=list)


def ply_header(content: bytes) -> str:
    """The header's text, without its last line; Refused if it has no end."""
    end = content.find(END)
    if end < 0:
        raise Refused("it is cut short: its header has no end")
    return content[:end].decode("latin-1")


def read_ply(content: bytes) -> Mesh:
    """Points and triangles; polygons and strips become triangles.

    All elements and properties but the points' x, y, z and the faces' or strips'
    lists are ignored.  Refused if rows that the header states are missing.
    """
    text = ply_header(content)
    start = content.find(b"\n", len(text)) + 1 or len(content)
    order, elements = _layout(text)
    lines = iter(() if order else content[start:].decode("latin-1").splitlines())
    points, triangles = np.zeros((0, 3)), []
    for element in elements:
        if order:
            columns, start = _binary(element, content, start, order)
        else:
            columns = _text(element, lines)
        if element.name == "vertex":
            points = np.hstack([columns[axis] for axis in "xyz"])
        elif element.name in LISTS and element.count:
            rows = next(columns[name] for name in POINTS if name in columns)
            triangles.append(_triangles(rows, element.name == "tristrips"))
    return points, np.concatenate(triangles or [np.zeros((0, 3), np.int64)])


def _layout(text: str) -> tuple[str, list[_Element]]:
    """Byte order ("" for text) and the elements, in their order in the file."""
    order, elements = "", []
    for words in map(str.split, text.splitlines()):
        if words[:1] == ["format"]:
            order = "" if words[1] == "ascii" else ORDERS[words[1]]
        elif words[:1] == ["element"]:
            elements.append(_Element(words[1], int(words[2])))
        elif words[:2] == ["property", "list"]:
            column = (words[4], NUMBERS[words[3]], NUMBERS[words[2]])
            elements[-1].columns.append(column)
        elif words[:1] == ["property"]:
            elements[-1].columns.append((words[2], NUMBERS[words[1]], ""))
    return order, elements


def _text(element: _Element, lines: Iterator[str]) -> Columns:
    rows = list(islice(filter(str.strip, lines), element.count))
    if len(rows) < element.count:
        raise Refused(CUT)
    names = [name for name, _, _ in element.columns]
    if rows and not any(counter for _, _, counter in element.columns):
        table = np.loadtxt(rows, comments=None, ndmin=2)
        return {name: table[:, [i]] for i, name in enumerate(names)}
    columns: dict[str, list[np.ndarray]] = {name: [] for name in names}
    for row in rows:
        words = iter(row.split())
        for name, _, counter in element.columns:
            size = int(next(words)) if counter else 1
            values = np.array([float(word) for word in islice(words, size)])
            if len(values) < size:
                raise Refused(CUT)
            columns[name].append(values)
    return dict(columns)


def _binary(
    element: _Element, content: bytes, start: int, order: str
) -> tuple[Columns, int]:
    """The columns, and the byte after the last row."""
    first, _ = _rows(element, content, start, order, min(1, element.count))
    if not element.count:
        return dict(first), start
    record: list[
        tuple
    ] = []  # of every row, if its lists are as long as those of the first
    for name, number, counter in element.columns:
        record += [(f"size of {name}", order + counter)] if counter else []
        record += [(name, order + number, (len(first[name][0]),))]
    row = np.dtype(record)
    end = start + element.count * row.itemsize
    if end <= len(content):
        table = np.frombuffer(content, row, element.count, start)
        same = (
            (table[f"size of {name}"] == len(first[name][0])).all()
            for name, _, counter in element.columns
            if counter
        )
        if all(same):
            return {name: table[name] for name in first}, end
    columns, end = _rows(element, content, start, order, element.count)
    return dict(columns), end


def _rows(
    element: _Element, content: bytes, start: int, order: str, count: int
) -> tuple[dict[str, list[np.ndarray]], int]:
    """`_binary` row by row, for lists of different lengths."""
    columns: dict[str, list[np.ndarray]] = {name: [] for name, _, _ in element.columns}

    def numbers(code: str, size: int) -> np.ndarray:
        nonlocal start
        end = start + np.dtype(code).itemsize * size
        if not start <= end <= len(content):
            raise Refused(CUT)
        values, start = np.frombuffer(content[start:end], order + code), end
        return values

    for _ in range(count):
        for name, number, counter in element.columns:
            size = int(numbers(counter, 1)[0]) if counter else 1
            columns[name].append(numbers(number, size))
    return columns, start


def _triangles(rows: np.ndarray | list[np.ndarray], strips: bool) -> np.ndarray:
    """The triangles (m, 3) of polygons or strips."""
    if strips:
        return np.concatenate([strip(row.astype(np.int64)) for row in rows])
    if len({len(row) for row in rows}) == 1:
        corners = np.asarray(rows)[:, fan(range(len(rows[0])))]
    else:
        polygons = (row.astype(np.int64).tolist() for row in rows)
        corners = np.array([i for polygon in polygons for i in fan(polygon)])
    return corners.astype(np.int64).reshape(-1, 3)
