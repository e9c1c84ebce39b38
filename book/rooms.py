"""The directive ``{rooms}``: a picture of the library's rooms, from top to bottom.

The rows are the layers of the import contract in pyproject.toml, so that the picture
cannot differ from what `make lint` checks; the captions are the packages' docstrings.
"""

import ast
import re
from pathlib import Path

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx

import skfm_lib

ROOT = Path(__file__).parents[1]
LIBRARY = Path(skfm_lib.__file__).parent
WIDTH, HEIGHT, GAP = 900, 46, 14  # of the picture, of a row, between rows; pixels


def layers() -> list[list[str]]:
    """The rooms, row by row, the highest first."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (listed,) = re.findall(r"^layers = \[\n(.*?)^\]", text, re.M | re.S)
    return [row.split(" | ") for row in re.findall(r'"(.*?)"', listed)]


def caption(room: str) -> str:
    """The first sentence of a room's docstring."""
    path = LIBRARY / room
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n")[0].split(": ")[0].rstrip(".").replace("`", "")


def picture() -> str:
    """The rows as SVG; text and lines take the page's colour."""
    rows, parts = layers(), []
    for number, row in enumerate(rows):
        y, width = number * (HEIGHT + GAP), (WIDTH - GAP * (len(row) - 1)) / len(row)
        for column, room in enumerate(row):
            x = column * (width + GAP)
            parts.append(
                f'<g transform="translate({x:.0f} {y})"><title>{caption(room)}</title>'
                f'<rect width="{width:.0f}" height="{HEIGHT}" rx="6"/>'
                f'<text x="{width / 2:.0f}" y="{HEIGHT / 2 + 6:.0f}">{room}</text></g>'
            )
    height = len(rows) * (HEIGHT + GAP)
    style = (
        "<style>.rooms rect{fill:none;stroke:currentColor}"
        ".rooms text{fill:currentColor;text-anchor:middle;font-size:18px}</style>"
    )
    label = "; ".join(" and ".join(row) for row in rows)
    return (
        f'<svg class="rooms" viewBox="-1 -1 {WIDTH + 2} {height}" role="img" '
        f'aria-label="Rooms from top to bottom: {label}">{style}{"".join(parts)}</svg>'
    )


class Rooms(Directive):
    """The picture, then a list of the rooms with their captions."""

    def run(self) -> list[nodes.Node]:
        """The nodes that stand for the directive."""
        items = [
            f"<tr><td><code>{room}</code></td><td>{caption(room)}</td></tr>"
            for row in layers()
            for room in row
        ]
        table = f'<table class="table">{"".join(items)}</table>'
        return [nodes.raw("", picture() + table, format="html")]


def setup(app: Sphinx) -> dict[str, object]:
    """Add the directive."""
    app.add_directive("rooms", Rooms)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
