"""The book shows the reader's own run where there is one.

A Sphinx extension: a chapter ``walkthrough/NN_name.ipynb`` is read from the latest
record of the reader's run (`study.records`), and from the committed copy where that
run has none; this one with the text of today's notebook (`study.rendering`).  The run
shown is that of the latest record; ``SKFM_RUN`` names another, ``SKFM_RUN=committed``
shows the committed records.  No tracked file changes.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from sphinx.application import Sphinx
from sphinx.util import logging

from skfm_lib.study.captions import as_in_book, number_figures
from skfm_lib.study.chapters import takeaway_first
from skfm_lib.study.records import DAMAGED, Record, Unfinished, find_executed
from skfm_lib.study.rendering import rendered
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.paths import project_root

CHAPTERS = "walkthrough/"
FRONT = "intro"
COMMITTED = "committed"  # the value of SKFM_RUN for no own run
logger = logging.getLogger(__name__)


class Shown(NamedTuple):
    """What the book takes from the reader's runs.

    Attributes:
        run: whose records are shown; "" for none.
        records: chapter → its latest record.
        unfinished: chapter → what was executed later, and cannot be shown.
    """

    run: str
    records: dict[str, Record]
    unfinished: dict[str, Unfinished]


def shown() -> Shown:
    """The run that the book shows, by the environment or the latest of all."""
    chosen, executed = os.environ.get("SKFM_RUN"), find_executed()
    if chosen == COMMITTED:
        return Shown("", {}, {})
    found = [one for one in executed if isinstance(one, Record)]
    run = chosen or (found[-1].run if found else "")
    latest: dict[str, Record | Unfinished] = {}
    for one in executed:  # the oldest first
        if one.run == run or (isinstance(one, Unfinished) and not chosen):
            latest[one.chapter] = one
    return Shown(
        run,
        {one.chapter: one for one in found if one.run == run},
        {k: one for k, one in latest.items() if isinstance(one, Unfinished)},
    )


def publish() -> list[Path]:
    """Copy the shown run's records into the book, without this machine's paths.

    Raises:
        SkfmError: where no run is shown, for a stale record and for a chapter that was
            executed later and did not end well.
    """
    _, records, unfinished = shown()
    root = project_root()
    if not records:
        raise SkfmError("no run to publish", "a finished study", "skfm study")
    for one in unfinished.values():
        raise SkfmError(f"{one.path} {one.why}", "a record that ended well")
    for record in records.values():
        if record.stale:
            raise SkfmError(f"{record.path} is stale: {record.stale}")
    written = []
    for chapter, record in sorted(records.items()):
        notebook = as_in_book(json.loads(record.path.read_text(encoding="utf-8")))
        text = json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"
        text = text.replace(f"{root}/", "")
        target = root / "book" / CHAPTERS / f"{chapter}.ipynb"
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def sources_note(found: Shown) -> str:
    """What the front page says of where its chapters come from; "" if committed."""
    notes = []
    if found.records:
        numbers = _numbers(found.records)
        notes.append(
            f"From your run `{found.run}`: {numbers}. The other chapters are the "
            "records that came with the book, of another run: do not compare numbers "
            "across them."
        )
        if stale := _numbers(k for k, one in found.records.items() if one.stale):
            notes.append(f"Stale, the run has changed since: {stale}.")
    elif found.run:
        notes.append(
            f"Your run `{found.run}` has no chapter that ended well: all chapters are "
            "the records that came with the book."
        )
    if lost := _numbers(found.unfinished):
        notes.append(f"Executed, but not shown: {lost}; each chapter says why.")
    return " ".join(notes)


def chapter_note(chapter: str, found: Shown) -> str:
    """What a chapter says at its top of where it comes from; "" if all is as usual."""
    record, lost, notes = found.records.get(chapter), found.unfinished.get(chapter), []
    if record is None and found.run:
        notes.append(
            "This chapter is the record that came with the book, not of your run."
        )
    if lost:
        why = lost.why.replace("`", "'")
        notes.append(f"Not shown: `{_relative(lost.path)}`, which `{why}`.")
    if record and record.stale:
        why, _, command = record.stale.partition("next: ")
        next_step = f"next: `{command}`" if command else ""
        notes.append(f"This record is stale: {why}{next_step}")
    return " ".join(notes)


def setup(app: Sphinx) -> dict[str, object]:
    """Let Sphinx read chapters from the run that is shown."""
    found = shown()

    def read(app: Sphinx, docname: str, source: list[str]) -> None:
        source[0] = _page(docname, source[0], found)

    def copy_sources(app: Sphinx, exception: Exception | None) -> None:
        """The button for the notebook gives the record that the page shows."""
        for path in Path(app.outdir, "_sources", CHAPTERS).glob("*.ipynb"):
            page, given = CHAPTERS + path.stem, path.read_text("utf-8")
            path.write_text(_page(page, given, found), "utf-8")

    app.connect("source-read", read, priority=1)
    app.connect("env-get-outdated", _always_reread)
    app.connect("env-get-updated", _number, priority=900)  # after Sphinx has
    app.connect("build-finished", copy_sources)
    if note := sources_note(found):
        logger.info("skfm: %s", note)
    return {"version": "3", "parallel_read_safe": True, "parallel_write_safe": True}


def _page(docname: str, source: str, found: Shown) -> str:
    """The text of a page, with the record in place of a chapter's committed copy."""
    if docname == FRONT and (note := sources_note(found)):
        title, _, rest = source.partition("\n")
        return f"{title}\n\n:::{{note}}\n{note}\n:::\n{rest}"
    if not docname.startswith(CHAPTERS):
        return source
    chapter = docname.removeprefix(CHAPTERS)
    note = chapter_note(chapter, found)
    if record := found.records.get(chapter):
        notebook = json.loads(record.path.read_text(encoding="utf-8"))
    else:
        notebook, earlier = _committed(chapter, json.loads(source))
        note = " ".join(filter(None, (note, earlier)))
    notebook = takeaway_first(as_in_book(notebook))
    if note:
        cell = {"cell_type": "markdown", "metadata": {}, "id": "where-from"}
        notebook["cells"].insert(1, {**cell, "source": f":::{{note}}\n{note}\n:::"})
    return json.dumps(notebook)


def _committed(chapter: str, record: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """A committed record with today's text, or itself and what it is then."""
    path = project_root() / "notebooks" / f"{chapter}.ipynb"
    try:
        today = rendered(record, json.loads(path.read_text(encoding="utf-8")))
    except DAMAGED:  # edited by hand, or not there
        today = None
    note = "This record is of an earlier version of the chapter's notebook."
    return (today, "") if today else (record, note)


def _numbers(chapters: Iterable[str]) -> str:
    return ", ".join(chapter[:2].lstrip("0") for chapter in sorted(chapters))


def _relative(path: Path) -> Path:
    root = project_root()
    return path.relative_to(root) if path.is_relative_to(root) else path


def _number(app: Sphinx, env: Any) -> list[str]:
    """Figures and tables have the numbers of their chapters."""
    number_figures(env, CHAPTERS)
    return []


def _always_reread(
    app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Records change without their committed copies changing."""
    return [name for name in env.found_docs if name.startswith((CHAPTERS, FRONT))]
