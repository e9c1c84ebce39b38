"""Directives that print results, read from the chapters' records in every build.

``{findings}``: the lines of the front page.  ``{paper-table} 4``: the paper's Table 4
beside this study's, a sentence that reads it, and what made it.  ``{claims}``: the
paper's claims, refuted ones first.  ``{records}``: what made every chapter.
"""

from collections.abc import Callable

from docutils import nodes
from docutils.statemachine import StringList
from findings import findings
from paper_beside import TABLES, as_markdown
from reading import (
    TASKS,
    about,
    better_model,
    claims,
    failures,
    in_order,
    order,
    settings,
    tally,
)
from shown import NAMES, parts, shown
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from skfm_lib.study.record_contents import Contents

CHAPTERS = {1: "06", 8: "10", 9: "07", **dict.fromkeys((2, 3, 4), "08")}
CHAPTERS |= dict.fromkeys((5, 6, 11), "09")
COMMANDS = {  # what makes the numbers that a record lacks
    "08": 'skfm run 08 -p sets all -p seeds "[0, 1, 2]"',
    "09": 'skfm run 09 -p sets all -p seeds "[0, 1, 2]"',
}
CAPTIONS = {1: "tab-generation", 8: "tab-ablations", 9: "tab-failures"}  # that say n
READINGS: dict[int, Callable[[], str]] = {
    1: lambda: better_model(shown("06")),
    2: lambda: about(shown("08"), "08", 2),
    3: lambda: about(shown("08"), "08", 3),
    4: lambda: about(shown("08"), "08", 4),
    5: lambda: about(shown("09"), "09", 5),
    6: lambda: about(shown("09"), "09", 6),
    7: lambda: settings(7, shown),
    8: lambda: order(8, shown, (slice(0, 3), slice(3, None))),
    9: lambda: failures(shown("07")),
    10: lambda: settings(10, shown),
    11: lambda: about(shown("09"), "09", 11),
}


class Generated(SphinxDirective):
    """A directive that stands for the Markdown of `text`."""

    def text(self) -> str:
        """The Markdown."""
        raise NotImplementedError

    def run(self) -> list[nodes.Node]:
        """The nodes that stand for the directive; records change without the page."""
        self.env.note_reread()
        node = nodes.container()
        lines = StringList(self.text().splitlines(), source=self.env.docname)
        self.state.nested_parse(lines, 0, node)
        return node.children


class Findings(Generated):
    """What was found, in a few lines."""

    def text(self) -> str:
        return findings(shown)


class PaperTable(Generated):
    """A table of the paper beside this study's."""

    required_arguments = 1

    def text(self) -> str:
        number = int(self.arguments[0])
        numbers = list(TABLES[number](shown))
        text = [READINGS[number](), "", as_markdown(numbers)]
        if chapter := CHAPTERS.get(number):
            missing = sum(not one.here for one in numbers)
            text += ["", lacking(chapter, missing), "", made_by(chapter, number)]
        return "\n".join(text)


class Claims(Generated):
    """The paper's claims, a row each, refuted ones first."""

    def text(self) -> str:
        found = in_order(c for n in TASKS for c in claims(shown(n), n))
        lines = [
            "| claim | conclusion | better by, mm | in the paper | chapter |",
            "| --- | --- | --- | --- | --- |",
        ]
        for one in found:
            here = " ".join(parts(one.better_by)) or "–"
            row = [one.text, f"**{one.conclusion}**", here, one.in_the_paper]
            row.append(link(one.chapter, f"{int(one.chapter)}"))
            lines.append(f"| {' | '.join(row)} |")
        return f"Of {len(found)} claims: {tally(found)}.\n\n" + "\n".join(lines)


class Records(Generated):
    """The last line of every chapter."""

    def text(self) -> str:
        lines = ["| chapter | made by |", "| --- | --- |"]
        for chapter in sorted(NAMES):
            lines.append(f"| {link(chapter)} | {story(chapter)} |")
        return "\n".join(lines)


def link(chapter: str, text: str = "") -> str:
    """A link to the chapter called ``06``."""
    return f"[{text or f'chapter {int(chapter)}'}](walkthrough/{NAMES[chapter]})"


def lacking(chapter: str, count: int) -> str:
    """What makes the numbers that a record lacks."""
    if not count:
        return ""
    command = COMMANDS.get(chapter, f"skfm run {chapter}")
    return (
        f"The record lacks {count} of these numbers; `{command}` makes them, and "
        "`skfm study --all` makes all."
    )


def made_by(chapter: str, number: int) -> str:
    """How many skulls a table is of, and what made it, in small print."""
    record = shown(chapter)
    of = record.captions.get(CAPTIONS.get(number, ""), "")
    if not of and (count := test_skulls(record)):
        of = f"{count} test skulls"
    return f"<small>{link(chapter)}: {of}{'. ' * bool(of)}{story(chapter)}</small>"


def test_skulls(record: Contents) -> str:
    """The number of test skulls of a record's run, as chapter 1 counts them."""
    runs = [r.papermill.get("parameters", {}).get("run") for r in (record, shown("01"))]
    count = shown("01").entry("tab-quality", "test", "all")
    return count if runs[0] == runs[1] and runs[0] else ""


def story(chapter: str) -> str:
    """What made a chapter, in the record's own words."""
    record = shown(chapter)
    given = {
        name: value
        for name, value in record.papermill.get("parameters", {}).items()
        if name not in ("preset", "run", "seed")
    }
    said = [record.made_by or "Not executed yet."]
    if given:
        text = ", ".join(f"{name} {value}" for name, value in given.items())
        said.append(f"Parameters: {text}.")
    if seconds := record.papermill.get("duration"):
        started = record.papermill.get("start_time", "")[:10]
        said.append(f"Notebook executed on {started} in {seconds / 60:.1f} min.")
    return " ".join(said)


def setup(app: Sphinx) -> dict[str, object]:
    """Add the directives."""
    app.add_directive("findings", Findings)
    app.add_directive("paper-table", PaperTable)
    app.add_directive("claims", Claims)
    app.add_directive("records", Records)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
