"""One skull of a page or viewer: its picture, its meshes, the text below it."""

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape

import numpy as np
import pyvista as pv
from PIL import Image

from skfm_lib.data.bone_fractions import as_values
from skfm_lib.data.voxels import Grid
from skfm_lib.view.gallery.encoding import centre_of, encoded
from skfm_lib.view.meshes import IVORY, VIEWS, scene, smooth_surface

TRIANGLES = 10_000  # of a skull: 60 to 75 kB
PIXELS = 420  # of a picture
PART = 0.2  # least share of TRIANGLES for each of several parts
Part = tuple[pv.PolyData, str]  # a surface in RAS mm, and its colour, "#rrggbb"


@dataclass(frozen=True)
class Exhibit:
    """A skull as it is shown.

    Attributes:
        label: what is shown, in words, for those who do not see it.
        caption: HTML.
        picture: a data URL, shown where nothing can be turned.
        parts: encoded meshes with their colours; none for a volume without bone.
    """

    label: str
    caption: str
    picture: str = field(repr=False)
    parts: list[dict[str, int | str]] = field(repr=False)

    def pixels(self) -> np.ndarray:
        """The picture (pixels, pixels, 3) uint8, on white."""
        data = base64.b64decode(self.picture.partition(",")[2])
        image = Image.open(io.BytesIO(data)).convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        return np.asarray(Image.alpha_composite(white, image).convert("RGB"))

    def html(self, key: str) -> str:
        """A ``.skull`` of `viewer.js`, whose meshes the page holds under `key`."""
        mesh = f' data-mesh="{escape(key)}"' if self.parts else ""
        image = f'<img alt="" src="{self.picture}"><canvas></canvas>'
        label = f'role="img" aria-label="{escape(self.label)}" tabindex="0"'
        view = f'<div class="view" {label}>{image}</div>'
        caption = f'<div class="caption">{self.caption}</div>'
        return f'<div class="skull"{mesh}>{view}{caption}</div>'


def exhibit(
    label: str,
    caption: str,
    skull: np.ndarray | Sequence[Part],
    grid: Grid,
    triangles: int = TRIANGLES,
    pixels: int = PIXELS,
) -> Exhibit:
    """A skull, given as a volume as of `smooth_surface` or as coloured surfaces.

    Its meshes have at most about so many `triangles` together.
    """
    parts = _parts(skull, grid) if isinstance(skull, np.ndarray) else list(skull)
    picture = data_url(scene(parts, grid, VIEWS["oblique"], pixels))
    if not parts:
        return Exhibit(f"{label}: no bone", f"{caption} no bone", picture, [])
    centre = centre_of(*(mesh for mesh, _ in parts))
    faces = sum(mesh.n_cells for mesh, _ in parts)
    meshes = []
    for mesh, colour in parts:
        most = round(triangles * max(mesh.n_cells / faces, PART))
        meshes.append({**encoded(mesh, most, centre), "colour": colour})
    return Exhibit(label, caption, picture, meshes)


def _parts(volume: np.ndarray, grid: Grid) -> list[Part]:
    """The surface of a volume; none without bone."""
    if not (as_values(volume) > 0).any():
        return []
    return [(smooth_surface(volume, grid), IVORY)]


def data_url(picture: np.ndarray) -> str:
    """A picture as a PNG of 256 colours, its white transparent, for both themes."""
    image = Image.fromarray(picture)
    alpha = Image.fromarray(np.where((picture == 255).all(-1), 0, 255).astype(np.uint8))
    image.putalpha(alpha)
    stream = io.BytesIO()
    image.quantize(256, method=Image.Quantize.FASTOCTREE).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"
