"""Report of a run of `prepare`: as text, as a table, and as a page with pictures."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from skfm_lib.data.bone_fractions import block_fractions, network_values
from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.data.voxels import Grid
from skfm_lib.prepare.extraction import (
    COVERAGE,
    DOUBT,
    FIT,
    PROPOSED,
    REASON,
    Record,
)
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing, stem

PIXELS = 260  # of a rendering
SPACING = 2.0  # mm; finer volumes are downsampled to about this before rendering
SHOWN = 20  # problems, and unusual skulls, in the text; the table has all
COLUMNS = ["name", "result", "files", "split", "quality", "proposed", "reason"]
COLUMNS += ["checks", FIT, DOUBT, COVERAGE, "series"]
LEFT_OUT = "left out"
PAGE = Template(
    """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Prepared skulls</title>
<style>
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 74rem;
       padding: 0 1rem; color: #222 }
.skulls { display: grid; gap: 1rem;
          grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)) }
figure { margin: 0; border: 1px solid #ddd; border-radius: 6px; padding: .7rem }
figure.look { border: 2px solid #c60 } .look .checks { color: #a40 }
img { width: 100%; aspect-ratio: 2; object-fit: contain } small { color: #666 }
</style>
<h1>Prepared skulls</h1>
<p>$summary</p>
$left_out
$problems
<p>To correct scores, write 2–6, or 0 to leave a skull out, into the column
<code>quality</code> of <code>labels.csv</code>, and run the same command again.</p>
<div class="skulls">
$skulls
</div>
</html>
"""
)


@dataclass(frozen=True)
class Report:
    """The result of `prepare`; ``print`` it for a summary.

    Attributes:
        problems: Name → what is wrong with a scan, and the remedy.
        left_out: Reason for leaving out files → their number.
        files: Name → number of files of a skull or a problem.
        skulls: Rows of the manifest, without the variations in `augmented`.
        records: Name → record of a skull (see `extract_skull`).
        new: Names of the skulls that were prepared in this run.
    """

    folder: Path
    problems: dict[str, str]
    left_out: Counter[str]
    files: Counter[str]
    skulls: list[Skull] = field(default_factory=list)
    records: dict[str, Record] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    augmented: list[Skull] = field(default_factory=list)

    @property
    def unusual_first(self) -> list[Skull]:
        """The skulls; those with unusual checks come first."""
        return sorted(self.skulls, key=lambda skull: skull.checks == "ok")

    @property
    def said_problems(self) -> list[str]:
        """The problems, with the number of files of those that have several."""
        return [
            f"{why} ({n:,} files)" if (n := self.files[name]) > 1 else why
            for name, why in self.problems.items()
        ]

    @property
    def total(self) -> int:
        """Number of all files of the scans' folder."""
        return self.files.total() + self.left_out.total()

    def __str__(self) -> str:
        skulls = f"{len(self.skulls)} skull{'s' * (len(self.skulls) != 1)}"
        lines = [f"{skulls} in {self.folder}, {len(self.new)} new"]
        used = sum(self.files[skull.name] for skull in self.skulls)
        lines[0] += f", from {used:,} of {self.total:,} files"
        if self.augmented:
            lines.append(f"{len(self.augmented)} variations of them")
        unusual = [s for s in self.unusual_first if s.checks != "ok"]
        for title, entries in (
            ("Left out", [f"{n:,} × {why}" for why, n in self.left_out.most_common()]),
            ("Problems", _shown(self.said_problems)),
            ("Unusual", _shown([f"{s.name}: {s.checks}" for s in unusual])),
        ):
            lines += [f"{title}:", *(f"  {entry}" for entry in entries)] * bool(entries)
        if unlabelled := sum(skull.quality is None for skull in self.skulls):
            table = self.folder / "labels.csv"
            lines.append(
                f"{unlabelled} without a quality score: they can be reconstructed, but "
                f"not trained on or generated; scores are proposed in {table}, for an "
                "expert to correct (--accept takes them as they are)"
            )
        lines.append(f"Pictures and all checks: {self.folder / 'report.html'}")
        return "\n".join(lines)


def write_report(report: Report) -> None:
    """Write ``report.csv``, and ``report.html`` which shows ``pictures/NAME.png``.

    In both, what was left out comes first, then problems, then unusual skulls.  The
    table's column ``files`` adds up to all files of the scans' folder.
    """
    with replacing(report.folder / "report.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            for why, n in report.left_out.most_common():
                writer.writerow({"result": LEFT_OUT, "files": n, "checks": why})
            for name, why in report.problems.items():
                row = {"name": name, "result": "problem", "checks": why}
                writer.writerow(row | {"files": report.files[name]})
            for skull in report.unusual_first:
                record = report.records[skull.name]
                row = {"proposed": record[PROPOSED], "reason": record[REASON]}
                row["result"] = "new" if skull.name in report.new else "kept"
                files = {"files": report.files[skull.name]}
                writer.writerow({**record, **vars(skull), **row, **files})
    with replacing(report.folder / "report.html") as temporary:
        temporary.write_text(_page(report), encoding="utf-8")


def reported_names(folder: Path) -> list[str]:
    """The names of skulls and problems in the report of a data set, as it lists them.

    SkfmError if there is no report.
    """
    path = Path(folder) / "report.csv"
    if not path.is_file():
        found, expected = f"nothing is prepared in {folder} yet", "a data set"
        raise SkfmError(found, expected, "the same command without --names")
    with path.open(newline="", encoding="utf-8") as stream:
        return [row["name"] for row in csv.DictReader(stream) if row["name"]]


def thumbnail_path(volume: Path) -> Path:
    """The picture of a skull: ``pictures/NAME.png`` for ``volumes/NAME.nii.gz``."""
    return volume.parent.with_name("pictures") / f"{stem(volume)}.png"


def write_thumbnail(volume: Path) -> None:
    """Render the volume of a skull, as it was written, from the front and the side."""
    from matplotlib.image import imsave

    from skfm_lib.view.meshes import picture, smooth_surface

    bone, grid = read_volume(volume)
    step = max(1, round(SPACING / grid.spacing))
    v = network_values(block_fractions(bone, step) if step > 1 else bone)
    shift = grid.spacing * (step - 1) / 2  # from a voxel's centre to that of its block
    x, y, z = (origin + shift for origin in grid.origin)
    grid = Grid(v.shape, step * grid.spacing, (x, y, z))
    mesh = smooth_surface(v, grid)
    views = [picture(mesh, grid, view, PIXELS) for view in ("front", "side")]
    with replacing(thumbnail_path(volume)) as temporary:
        imsave(temporary, np.hstack(views))


def _shown(entries: list[str]) -> list[str]:
    """The first SHOWN entries, and how many more there are."""
    more = len(entries) - SHOWN
    return entries[:SHOWN] + [f"and {more:,} more, in report.csv"] * (more > 0)


def _page(report: Report) -> str:
    counts = Counter(s.quality for s in report.skulls if s.quality)
    scores = ", ".join(f"{n} of score {q}" for q, n in sorted(counts.items()))
    skulls = f"{len(report.skulls)} skull{'s' * (len(report.skulls) != 1)}"
    summary = f"{skulls}, {len(report.new)} new in the last run; "
    summary += scores or "none has a score yet"
    if report.augmented:
        summary += f"; {len(report.augmented)} variations of them"
    left_out = [f"{n:,} × {why}" for why, n in report.left_out.most_common()]
    return PAGE.substitute(
        summary=f"{summary}. The folder holds {report.total:,} files.",
        left_out=_list("Left out", left_out),
        problems=_list("Problems", report.said_problems),
        skulls="\n".join(_figure(skull, report) for skull in report.unusual_first),
    )


def _list(title: str, entries: list[str]) -> str:
    """A heading with a list below it, or "" where there is nothing to list."""
    lines = "\n".join(f"<li>{escape(entry)}</li>" for entry in entries)
    return f"<h2>{title}</h2>\n<ul>\n{lines}\n</ul>" if entries else ""


def _figure(skull: Skull, report: Report) -> str:
    record = report.records[skull.name]
    name = escape(skull.name)
    image = "<p>no picture</p>"
    if thumbnail_path(report.folder / skull.file).exists():
        image = f'<img src="pictures/{name}.png" alt="" loading="lazy">'
    score = f"QS {skull.quality}" if skull.quality else "no score"
    if skull.quality != record[PROPOSED]:
        score += f" (proposed: {record[PROPOSED] or 'less than QS 2'})"
    return (
        f"<figure{'' if skull.checks == 'ok' else ' class=look'}>{image}<figcaption>"
        f"<b>{name}</b> · {score} · {skull.split}<br>{escape(record[REASON])}<br>"
        f'<span class="checks">{escape(skull.checks)}</span><br>'
        f"<small>{record[FIT]} mm from the reference, doubt {record[DOUBT]} mm, "
        f"{100 * record[COVERAGE]:.0f} % of the surface in view. "
        f"{escape(record['series'])}</small></figcaption></figure>"
    )
