"""Contact sheet and page of a data set, from the files in its folder."""

import base64
import csv
import io
import json
from html import escape
from pathlib import Path
from string import Template

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import Skull, read_manifest
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track
from skfm_lib.view.gallery.encoding import encoded
from skfm_lib.view.meshes import picture, smooth_surface

FOLDER = Path(__file__).parent
SHEET, PAGE = "sheet.png", "index.html"
MOST = 60  # skulls that are shown
TRIANGLES = 12_000  # of a mesh of the page
PIXELS = 420  # of a picture
COLUMNS = 6
COLOURS = {"passed": "#2f6f4f", "failed": "#a4461f"}
FOOTER = (
    "Made by skfm. Research data, not for clinical use; the skulls belong to no one. "
    "This page is one file and needs no network."
)


class Shown:
    """A skull of a set, with its picture and its mesh (None without bone)."""

    def __init__(self, folder: Path, skull: Skull, more: dict[str, str]) -> None:
        self.skull, self.result = skull, more.get("screening", "")
        self.seed = more.get("seed", "")
        volume, grid = read_volume(folder / skull.file)
        self.picture = np.full((PIXELS, PIXELS, 3), 255, np.uint8)
        self.mesh: dict[str, int | str] | None = None
        if (volume > 0).any():
            mesh = smooth_surface(volume, grid)
            self.picture = picture(mesh, grid, "oblique", PIXELS)
            self.mesh = encoded(mesh, TRIANGLES)

    @property
    def reasons(self) -> str:
        """Why it failed the screening, if it did."""
        return self.skull.checks if self.result == "failed" else ""


def write_pages(folder: Path, summary: str) -> Path:
    """Write ``sheet.png`` and ``index.html`` of the data set in a folder.

    Both show its first MOST skulls.  Returns the path of the page.

    Raises:
        SkfmError: for a damaged data set, and for files that cannot be written.
    """
    skulls, more = read_manifest(folder), _further_columns(folder)
    first = list(zip(skulls, more))[:MOST]
    shown = [Shown(folder, *one) for one in track(first, "Rendering")]
    figure = contact_sheet(shown)
    with replacing(folder / SHEET) as temporary:
        figure.savefig(temporary, dpi=150)
    plt.close(figure)
    count = f"{len(skulls)} generated skull{'s' * (len(skulls) > 1)}"
    if len(skulls) > MOST:
        count += f", of which the first {MOST} are shown"
    with replacing(folder / PAGE) as temporary:
        temporary.write_text(page(shown, count, summary), encoding="utf-8")
    return folder / PAGE


def contact_sheet(shown: list[Shown]) -> Figure:
    """All skulls in rows of COLUMNS, with scores, results and reasons."""
    columns = min(COLUMNS, len(shown)) if len(shown) != 8 else 4
    rows = -(-len(shown) // columns)
    size = (2.3 * columns, 2.75 * rows)
    figure, axes = plt.subplots(
        rows, columns, figsize=size, squeeze=False, layout="constrained"
    )
    for axis in axes.flat:
        axis.set_axis_off()
    for axis, one in zip(axes.flat, shown):
        axis.imshow(one.picture)
        colour = COLOURS.get(one.result, "#333333")
        axis.set_title(f"{_number(one.skull)}  QS {one.skull.quality}", fontsize=9)
        text = _shortened(one.reasons) or one.result
        axis.text(
            *(0.5, 0.0, text),
            transform=axis.transAxes,
            ha="center",
            va="bottom",
            fontsize=7,
            color=colour,
        )
    return figure


def page(shown: list[Shown], title: str, summary: str) -> str:
    """The page as HTML."""
    meshes = {one.skull.name: one.mesh for one in shown if one.mesh}
    texts = {
        "title": escape(title),
        "summary": escape(summary),
        "footer": escape(FOOTER),
        "style": (FOLDER / "style.css").read_text(encoding="utf-8"),
        "figures": "\n".join(map(_figure, shown)),
        "meshes": f"const meshes = {json.dumps(meshes)};",
        "script": (FOLDER / "viewer.js").read_text(encoding="utf-8"),
    }
    return Template((FOLDER / "page.html").read_text("utf-8")).substitute(texts)


def _figure(one: Shown) -> str:
    name, result = escape(one.skull.name), escape(one.result)
    label = f"{name}, quality score {one.skull.quality}, {result}"
    mesh = f' data-mesh="{name}"' if one.mesh else ""
    parts = [f"<b>{name}</b>", f"QS {one.skull.quality}"]
    if one.result:
        parts.append(f'<span class="{result}">{result}</span>')
    if one.reasons:
        parts.append(f'<span class="reasons">{escape(one.reasons)}</span>')
    if one.seed:
        parts.append(f'<span class="seed">seed {escape(one.seed)}</span>')
    image = f'<img alt="" src="{_data_url(one.picture)}"><canvas></canvas>'
    box = f'<div class="skull" tabindex="0" role="img" aria-label="{label}">'
    caption = f"<figcaption>{' '.join(parts)}</figcaption>"
    return f"<figure{mesh}>{box}{image}</div>{caption}</figure>"


def _data_url(picture: np.ndarray) -> str:
    """A picture as a PNG of 256 colours, its white transparent, for both themes."""
    image = Image.fromarray(picture)
    alpha = Image.fromarray(np.where((picture == 255).all(-1), 0, 255).astype(np.uint8))
    image.putalpha(alpha)
    stream = io.BytesIO()
    image.quantize(256, method=Image.Quantize.FASTOCTREE).save(stream, "PNG")
    return f"data:image/png;base64,{base64.b64encode(stream.getvalue()).decode()}"


def _further_columns(folder: Path) -> list[dict[str, str]]:
    """The rows of the manifest with all columns, as text."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _number(skull: Skull) -> str:
    return skull.name.rpartition("-")[2].lstrip("0") or skull.name


def _shortened(text: str, most: int = 36) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip(" ;") + "…"
