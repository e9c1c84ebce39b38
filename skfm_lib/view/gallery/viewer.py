"""Skulls to turn in a notebook's output or a page of the book, without network.

The result is one piece of HTML with everything that it needs.  Any number of them on a
page share one WebGL context; where there is none, or no JavaScript, pictures stay.
"""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from html import escape
from pathlib import Path

import numpy as np

from skfm_lib.data.voxels import Grid
from skfm_lib.view.gallery.exhibits import TRIANGLES, Exhibit, Part, exhibit

FOLDER = Path(__file__).parent
PIXELS = 300  # of a picture
HINT = (
    "Drag to turn, also with a finger. Arrow keys turn, + and − zoom, the space bar "
    "stops and starts the rotation, Enter or a click enlarges."
)


class Viewer:
    """Skulls for display: in a notebook, this is what a cell's last line shows."""

    def __init__(self, exhibits: Sequence[Exhibit], columns: int, stage: bool) -> None:
        self.exhibits, self.columns, self.stage = list(exhibits), columns, stage

    def __repr__(self) -> str:
        return f"Viewer of {', '.join(one.label for one in self.exhibits)}"

    def _repr_html_(self) -> str:
        if not self.exhibits:
            return "<p>There is no skull to show.</p>"
        skulls = "".join(one.html(str(i)) for i, one in enumerate(self.exhibits))
        kind = " stage" if self.stage else ""
        body = f'<div class="skulls">{skulls}</div>{meshes_script(self.exhibits)}'
        start = f"{asset('viewer.js')}\nskfmViewer();"
        return (
            f'<div class="skfm-skulls{kind}" style="--columns: {self.columns}">'
            f"<style>{asset('viewer.css')}</style>{body}"
            f'<p class="hint">{escape(HINT)}</p><script>{start}</script></div>'
        )


def inline(
    skulls: Mapping[str, np.ndarray | Sequence[Part]],
    grid: Grid,
    notes: Mapping[str, str] | None = None,
    columns: int = 4,
    stage: bool = False,
    triangles: int = TRIANGLES,
) -> Viewer:
    """Skulls that turn together, or one after the other on a `stage`.

    Args:
        skulls: what is shown → a volume as of `view.meshes.smooth_surface`, or surfaces
            in RAS mm with their colours ("#rrggbb").
        grid: of the volumes; pictures show this part of space.
        notes: a line below a skull, such as the reason why it failed.
        columns: of a wide page; a narrow one has fewer.
        stage: one large skull, and all as thumbnails from which it is chosen.
        triangles: of each skull at most, about 6 bytes each.
    """
    shown: list[Exhibit] = []
    for name, skull in skulls.items():
        note = (notes or {}).get(name, "")
        label = f"{name}, {note}" if note else name
        caption = f"<b>{escape(name)}</b>"
        caption += f'<span class="note">{escape(note)}</span>' if note else ""
        shown.append(exhibit(label, caption, skull, grid, triangles, PIXELS))
    return Viewer(shown, columns, stage)


def meshes_script(exhibits: Sequence[Exhibit]) -> str:
    """The meshes of exhibits, by their number, as data in a page."""
    meshes = {str(i): one.parts for i, one in enumerate(exhibits) if one.parts}
    text = json.dumps(meshes, separators=(",", ":"))
    return f'<script type="application/json" class="meshes">{text}</script>'


@cache
def asset(name: str) -> str:
    """The text of a file of this package."""
    return (FOLDER / name).read_text(encoding="utf-8")
