"""Contact sheet and page of a data set, from the files in its folder."""

import csv
from html import escape
from pathlib import Path
from string import Template

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import Skull, read_manifest
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track
from skfm_lib.view.gallery.exhibits import exhibit
from skfm_lib.view.gallery.viewer import HINT, asset, meshes_script

SHEET, PAGE = "sheet.png", "index.html"
MOST = 60  # skulls that are shown
TRIANGLES = 12_000  # of a mesh of the page: 70 to 85 kB
COLUMNS = 6
COLOURS = {"passed": "#2f6f4f", "failed": "#a4461f"}
FOOTER = (
    "Made by skfm. Research data, not for clinical use; the skulls belong to no one. "
    "This page is one file and needs no network."
)


class Shown:
    """A skull of a set, with its picture."""

    def __init__(self, folder: Path, skull: Skull, more: dict[str, str]) -> None:
        self.skull, self.result = skull, more.get("screening", "")
        self.seed = more.get("seed", "")
        volume, grid = read_volume(folder / skull.file)
        self.exhibit = exhibit(
            f"{skull.name}, quality score {skull.quality}, {self.result}",
            self._caption(),
            volume,
            grid,
            TRIANGLES,
        )

    def _caption(self) -> str:
        name, result = escape(self.skull.name), escape(self.result)
        parts = [f"<b>{name}</b>", f"<span>QS {self.skull.quality}</span>"]
        if result:
            parts.append(f'<span class="{result}">{result}</span>')
        if self.reasons:
            parts.append(f'<span class="note">{escape(self.reasons)}</span>')
        if self.seed:
            parts.append(f'<span class="note">seed {escape(self.seed)}</span>')
        return "".join(parts)

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
        axis.imshow(one.exhibit.pixels())
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
    exhibits = [one.exhibit for one in shown]
    skulls = "\n".join(one.html(str(i)) for i, one in enumerate(exhibits))
    texts = {
        "title": escape(title),
        "summary": escape(summary),
        "hint": escape(HINT),
        "footer": escape(FOOTER),
        "style": asset("viewer.css") + asset("page.css"),
        "skulls": skulls,
        "meshes": meshes_script(exhibits),
        "script": asset("viewer.js"),
    }
    return Template(asset("page.html")).substitute(texts)


def _further_columns(folder: Path) -> list[dict[str, str]]:
    """The rows of the manifest with all columns, as text."""
    with (folder / "manifest.csv").open(newline="", encoding="utf-8") as stream:
        return list(csv.DictReader(stream))


def _number(skull: Skull) -> str:
    return skull.name.rpartition("-")[2].lstrip("0") or skull.name


def _shortened(text: str, most: int = 36) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip(" ;") + "…"
