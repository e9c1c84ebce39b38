"""What a run of `prepare` did: in words, as a table, and as a page with pictures."""

import csv
from collections import Counter
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from string import Template

from skfm_lib.data.manifest import Skull
from skfm_lib.prepare.extraction import DOUBT, FIT, PROPOSED, REASON, Record
from skfm_lib.utils.files import replacing

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
h1 { font-weight: 600 } h2 { font-weight: 600; margin-top: 2.2rem }
.skulls { display: grid; gap: 1rem;
          grid-template-columns: repeat(auto-fill, minmax(20rem, 1fr)) }
figure { margin: 0; border: 1px solid #ddd; border-radius: 6px; padding: .7rem }
figure.look { border-color: #c60; border-width: 2px }
img { width: 100%; aspect-ratio: 2; object-fit: contain }
b { font-weight: 600 } small { color: #666 } .look .checks { color: #a40 }
li { margin: .2rem 0 } code { background: #f3f3f3; padding: 0 .2em }
</style>
<h1>Prepared skulls</h1>
<p>$summary</p>
<p>Scores are corrected in <code>labels.csv</code>: write 2–6, or 0 to leave a skull
out, into its column <code>quality</code>, and type the same command again.</p>
<div class="skulls">
$skulls
</div>
$skipped
</html>
"""
)


@dataclass(frozen=True)
class Report:
    """What `prepare` did: the data set's folder, its skulls, and what was skipped.

    problems  name in the data set → what is wrong, and the remedy
    left_out  why files of public sets were none to prepare → how many
    records   name → what was found out about the skull (see `extract_skull`)
    new       names of the skulls made in this run
    derived   variations of the skulls, for training
    """

    folder: Path
    skulls: list[Skull]
    problems: dict[str, str]
    left_out: Counter = field(default_factory=Counter)
    records: dict[str, Record] = field(default_factory=dict)
    new: frozenset[str] = frozenset()
    derived: list[Skull] = field(default_factory=list)

    def __str__(self) -> str:
        unlabelled = sum(skull.quality is None for skull in self.skulls)
        unusual = [f"  {s.name}: {s.checks}" for s in self.skulls if s.checks != "ok"]
        skipped = [f"  {why}" for why in self.problems.values()]
        lines = [f"{len(self.skulls)} skulls in {self.folder}, {len(self.new)} new"]
        if self.derived:
            lines.append(f"{len(self.derived)} variations derived from them")
        if unlabelled:
            lines.append(
                f"{unlabelled} without a quality score: they can be reconstructed, but "
                "not trained on or generated; scores are proposed in "
                f"{self.folder / 'labels.csv'}, for an expert to correct (--accept "
                "takes them as they are)"
            )
        lines += [f"Left out: {n} files, {why}" for why, n in self.left_out.items()]
        lines += ["Unusual:", *unusual] if unusual else []
        lines += ["Skipped:", *skipped] if skipped else []
        lines.append(f"Pictures and all checks: {self.folder / 'report.html'}")
        return "\n".join(lines)


def write_report(report: Report) -> None:
    """Write ``report.csv`` and ``report.html``, which shows ``pictures/NAME.png``."""
    with replacing(report.folder / "report.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            writer.writerows(_rows(report))
    with replacing(report.folder / "report.html") as temporary:
        temporary.write_text(_page(report), encoding="utf-8")


def _rows(report: Report) -> list[list[object]]:
    rows = []
    for skull in report.skulls:
        record = report.records[skull.name]
        row = [skull.name, "new" if skull.name in report.new else "kept", skull.split]
        row += [skull.quality or "", record[PROPOSED] or ""]
        row += [record[REASON], skull.checks, record[FIT], record[DOUBT]]
        rows.append([*row, record["series"]])
    empty = [""] * (len(COLUMNS) - 7)
    for name, why in report.problems.items():
        rows.append([name, "skipped", "", "", "", "", why, *empty])
    return rows


def _page(report: Report) -> str:
    counts = Counter(s.quality for s in report.skulls if s.quality)
    scores = ", ".join(f"{n} of score {q}" for q, n in sorted(counts.items()))
    summary = f"{len(report.skulls)} skulls, {len(report.new)} new in the last run; "
    summary += scores or "none has a score yet"
    reasons = [*report.problems.values()]
    reasons += [f"{n} files left out: {why}" for why, n in report.left_out.items()]
    lines = "\n".join(f"<li>{escape(why)}</li>" for why in reasons)
    if report.derived:
        summary += f"; {len(report.derived)} variations derived from them"
    return PAGE.substitute(
        summary=summary + ".",
        skulls="\n".join(_figure(skull, report) for skull in report.skulls),
        skipped=f"<h2>Skipped</h2>\n<ul>\n{lines}\n</ul>" if reasons else "",
    )


def _figure(skull: Skull, report: Report) -> str:
    record = report.records[skull.name]
    drawn = (report.folder / "pictures" / f"{skull.name}.png").exists()
    name = escape(skull.name)
    image = (
        f'<img src="pictures/{name}.png" alt="" loading="lazy">'
        if drawn
        else "<p>no picture</p>"
    )
    score = f"QS {skull.quality}" if skull.quality else "no score"
    if skull.quality != record[PROPOSED]:
        score += f" (proposed: {record[PROPOSED] or 'less than QS 2'})"
    return (
        f"<figure{'' if skull.checks == 'ok' else ' class=look'}>{image}<figcaption>"
        f"<b>{name}</b> · {score} · {skull.split}<br>{escape(str(record[REASON]))}<br>"
        f'<span class="checks">{escape(skull.checks)}</span><br>'
        f"<small>{record[FIT]} mm from the reference, doubt {record[DOUBT]} mm. "
        f"{escape(str(record['series']))}</small></figcaption></figure>"
    )
