"""What the comments and headers of mesh files say of their unit and frame."""

import re
from typing import NamedTuple

from skfm_lib.data.io.mesh_formats.ply import ply_header
from skfm_lib.data.io.mesh_formats.stl import HEADER, is_binary

BEGINNING = 1 << 14  # bytes in which a writer describes a mesh
MILLIMETRES = {
    "millimetres": 1.0,
    "centimetres": 10.0,
    "metres": 1000.0,
    "inches": 25.4,
    "micrometres": 1e-3,
}
_UNIT = (
    r"(?:(?P<millimetres>mms?|millimet(?:re|er)s?)"
    r"|(?P<centimetres>cms?|centimet(?:re|er)s?)"
    r"|(?P<micrometres>[µu]m|microns?|micromet(?:re|er)s?)"
    r"|(?P<metres>m|met(?:re|er)s?)"
    r"|(?P<inches>inch(?:es)?|in(?=[ \t]*(?:$|[;,.)\]\"'|]))))(?![a-z0-9])"
)
_GAP = r"[ \t_:=,(\[\"'-]"
# "units: cm", "# File units = inches" (SketchUp), "UNIT=m", "units are in mm" and, of
# Mimics and 3-matic, "measured in units, where 1 unit = 1000.000000 mm".
_SAID = re.compile(
    rf"units?{_GAP}*(?:(?:of|length|measure(?:ment)?|is|are|in){_GAP}+)*?"
    rf"(?P<factor>\d*\.?\d+(?:e[+-]?\d+)?)?[ \t]*{_UNIT}",
    re.I | re.M,
)
# "all dimensions in mm", "coordinates (cm)", "exported in metres"
_MEASURED = re.compile(
    r"(?:coordinates?|dimensions?|lengths?|measured|exported|scale|vertices)"
    rf"{_GAP}+(?:(?:is|are|in){_GAP}+)*?{_UNIT}",
    re.I | re.M,
)
_SPACE = re.compile(r"SPACE\s*=\s*(LPS|RAS)", re.I)  # as 3D Slicer writes it


class Statement(NamedTuple):
    """What a mesh file says of itself.

    Attributes:
        unit: In words; "" if it says nothing.
        millimetres: Its length.
        space: "LPS", "RAS", or "" if it says nothing.
    """

    unit: str = ""
    millimetres: float = 1.0
    space: str = ""


GLTF = Statement("metres", 1000.0)


def said(text: str) -> Statement:
    """The unit and frame in a comment; nothing else of it is used.

    >>> said("# Units: inches")
    Statement(unit='inches', millimetres=25.4, space='')
    """
    frame = _SPACE.search(text)
    space = frame[1].upper() if frame else ""
    found = _SAID.search(text) or _MEASURED.search(text)
    if not found:
        return Statement(space=space)
    name = next(name for name in MILLIMETRES if found[name])
    factor = float(found.groupdict().get("factor") or 1)
    length = factor * MILLIMETRES[name]
    same = (unit for unit, mm in MILLIMETRES.items() if abs(mm / length - 1) < 1e-6)
    return Statement(next(same, f"units of {length:g} mm"), length, space)


def comments(kind: str, content: bytes) -> str:
    """The text of a mesh file in which a writer may say something."""
    if kind == ".ply":
        lines = ply_header(content).splitlines()
        return "\n".join(x for x in lines if x.startswith(("comment", "obj_info")))
    if kind == ".stl":
        first = content[:HEADER] if is_binary(content) else content[:BEGINNING]
        return re.split(r"(?i)\bfacet\b", first.decode("latin-1"))[0]
    lines = content[:BEGINNING].decode("utf-8", errors="replace").splitlines()
    return "\n".join(line for line in lines if line.lstrip().startswith("#"))
