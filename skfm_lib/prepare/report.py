"""Report of a run of `prepare`: as text, as a table, and as a page with pictures."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

import numpy as np

from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.data.voxels import Grid
from skfm_lib.prepare.bone_segmentation import downsample
from skfm_lib.prepare.extraction import DOUBT, FIT, PROPOSED, REASON, Record
from skfm_lib.utils.files import replacing, stem

PIXELS = 260  # of a rendering
SPACING = 2.0  # mm; finer volumes are downsampled to about this before rendering
COLUMNS = ["name", "result", "split", "quality", "proposed", "reason", "checks"]
COLUMNS += [FIT, DOUBT, "series"]
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
<p>To correct scores, write 2–6, or 0 to leave a skull out, into the column
<code>quality</code> of <code>labels.csv</code>, and run the same command again.</p>
<div class="skulls">
$skulls
</div>
$skipped
</html>
"""
)


@dataclass(frozen=True)
class Report:
    """The result of `prepare`; ``print`` it for a summary.

    Attributes:
        skulls: Rows of the manifest, without the variations in `augmented`.
        problems: Name → what is wrong with a scan, and the remedy.
        left_out: Reason for leaving out files of public data sets → their number.
        records: Name → record of a skull (see `extract_skull`).
        new: Names of the skulls that were prepared in this run.
    """

    folder: Path
    skulls: list[Skull]
    problems: dict[str, str]
    left_out: Counter[str] = field(default_factory=Counter)
    records: dict[str, Record] = field(default_factory=dict)
    new: set[str] = field(default_factory=set)
    augmented: list[Skull] = field(default_factory=list)

    def __str__(self) -> str:
        lines = [f"{len(self.skulls)} skulls in {self.folder}, {len(self.new)} new"]
        if self.augmented:
            lines.append(f"{len(self.augmented)} variations of them")
        if unlabelled := sum(skull.quality is None for skull in self.skulls):
            table = self.folder / "labels.csv"
            lines.append(
                f"{unlabelled} without a quality score: they can be reconstructed, but "
                f"not trained on or generated; scores are proposed in {table}, for an "
                "expert to correct (--accept takes them as they are)"
            )
        lines += [f"Left out: {n} files, {why}" for why, n in self.left_out.items()]
        unusual = [f"  {s.name}: {s.checks}" for s in self.skulls if s.checks != "ok"]
        lines += ["Unusual:", *unusual] if unusual else []
        skipped = [f"  {why}" for why in self.problems.values()]
        lines += ["Skipped:", *skipped] if skipped else []
        lines.append(f"Pictures and all checks: {self.folder / 'report.html'}")
        return "\n".join(lines)


def write_report(report: Report) -> None:
    """Write ``report.csv``, and ``report.html`` which shows ``pictures/NAME.png``."""
    with replacing(report.folder / "report.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS, extrasaction="ignore")
            writer.writeheader()
            for skull in report.skulls:
                record = report.records[skull.name]
                row = {"proposed": record[PROPOSED], "reason": record[REASON]}
                row["result"] = "new" if skull.name in report.new else "kept"
                writer.writerow({**record, **vars(skull), **row})
            for name, why in report.problems.items():
                writer.writerow({"name": name, "result": "skipped", "checks": why})
    with replacing(report.folder / "report.html") as temporary:
        temporary.write_text(_page(report), encoding="utf-8")


def thumbnail_path(volume: Path) -> Path:
    """The picture of a skull: ``pictures/NAME.png`` for ``volumes/NAME.nii.gz``."""
    return volume.parent.with_name("pictures") / f"{stem(volume)}.png"


def write_thumbnail(volume: Path) -> None:
    """Render the volume of a skull, as it was written, from the front and the side."""
    from matplotlib.image import imsave

    from skfm_lib.view.meshes import picture, skull_surface

    bone, grid = read_volume(volume)
    step = max(1, round(SPACING / grid.spacing))
    bone = downsample(bone, step)
    shift = grid.spacing * (step - 1) / 2  # from a voxel's centre to that of its block
    x, y, z = (origin + shift for origin in grid.origin)
    grid = Grid(bone.shape, step * grid.spacing, (x, y, z))
    mesh = skull_surface(bone, grid)
    views = [picture(mesh, grid, view, PIXELS) for view in ("front", "side")]
    with replacing(thumbnail_path(volume)) as temporary:
        imsave(temporary, np.hstack(views))


def _page(report: Report) -> str:
    counts = Counter(s.quality for s in report.skulls if s.quality)
    scores = ", ".join(f"{n} of score {q}" for q, n in sorted(counts.items()))
    summary = f"{len(report.skulls)} skulls, {len(report.new)} new in the last run; "
    summary += scores or "none has a score yet"
    if report.augmented:
        summary += f"; {len(report.augmented)} variations of them"
    reasons = [*report.problems.values()]
    reasons += [f"{n} files left out: {why}" for why, n in report.left_out.items()]
    lines = "\n".join(f"<li>{escape(why)}</li>" for why in reasons)
    return PAGE.substitute(
        summary=summary + ".",
        skulls="\n".join(_figure(skull, report) for skull in report.skulls),
        skipped=f"<h2>Skipped</h2>\n<ul>\n{lines}\n</ul>" if reasons else "",
    )


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
        f"<small>{record[FIT]} mm from the reference, doubt {record[DOUBT]} mm. "
        f"{escape(record['series'])}</small></figcaption></figure>"
    )
