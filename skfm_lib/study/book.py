"""The book shows the reader's own run where there is one.

A Sphinx extension: a chapter ``walkthrough/NN_name.ipynb`` is read from the latest
record of the reader's run (`study.records`), and from the committed copy where that
run has none.  The run shown is that of the latest record; ``SKFM_RUN`` names another,
``SKFM_RUN=committed`` shows the committed records.  No tracked file changes.
"""

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx
from sphinx.util import logging

from skfm_lib.study.chapters import takeaway_first
from skfm_lib.study.records import Record, find_records
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.paths import project_root

CHAPTERS = "walkthrough/"
FRONT = "intro"
logger = logging.getLogger(__name__)


def shown_records() -> dict[str, Record]:
    """Chapter → the latest record of the run that the book shows."""
    chosen, records = os.environ.get("SKFM_RUN"), find_records()
    if chosen is None and records:
        chosen = records[-1].run
    return {record.chapter: record for record in records if record.run == chosen}


def publish() -> list[Path]:
    """Copy the shown run's records into the book, without this machine's paths.

    Raises:
        SkfmError: where no run is shown, and for a stale record.
    """
    records, root = shown_records(), project_root()
    if not records:
        raise SkfmError("no run to publish", "a finished study", "skfm study")
    for record in records.values():
        if record.stale:
            raise SkfmError(f"{record.path} is stale: {record.stale}")
    written = []
    for chapter, record in sorted(records.items()):
        text = record.path.read_text(encoding="utf-8").replace(f"{root}/", "")
        target = root / "book" / CHAPTERS / f"{chapter}.ipynb"
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def sources_note(records: dict[str, Record]) -> str:
    """What the front page says of where its chapters come from; "" if committed."""
    if not records:
        return ""
    run, numbers = next(iter(records.values())).run, _numbers(records)
    note = f"From your run `{run}`: {numbers}. The other chapters are the records that "
    note += "came with the book, of another run: do not compare numbers across them."
    if stale := _numbers(k for k, record in records.items() if record.stale):
        note += f" Stale, the run has changed since: {stale}."
    return note


def chapter_note(record: Record | None, any_shown: bool) -> str:
    """What a chapter says at its top of where it comes from; "" if all is as usual."""
    if record is None:
        text = "This chapter is the record that came with the book, not of your run."
        return text if any_shown else ""
    if not record.stale:
        return ""
    why, _, command = record.stale.partition("next: ")
    return f"This record is stale: {why}" + (f"next: `{command}`" if command else "")


def setup(app: Sphinx) -> dict[str, object]:
    """Let Sphinx read chapters from the run that is shown."""
    records = shown_records()

    def read(app: Sphinx, docname: str, source: list[str]) -> None:
        source[0] = _shown(docname, source[0], records)

    def copy_sources(app: Sphinx, exception: Exception | None) -> None:
        """The button for the notebook gives the record that the page shows."""
        for chapter, record in records.items():
            target = Path(app.outdir, "_sources", CHAPTERS, f"{chapter}.ipynb")
            if target.is_file():
                target.write_text(record.path.read_text("utf-8"), "utf-8")

    app.connect("source-read", read, priority=1)
    app.connect("env-get-outdated", _always_reread)
    app.connect("build-finished", copy_sources)
    if records:
        logger.info("skfm: %s", sources_note(records))
    return {"version": "2", "parallel_read_safe": True, "parallel_write_safe": True}


def _shown(docname: str, source: str, records: dict[str, Record]) -> str:
    """The text of a page, with the record in place of a chapter's committed copy."""
    if docname == FRONT and (note := sources_note(records)):
        title, _, rest = source.partition("\n")
        return f"{title}\n\n:::{{note}}\n{note}\n:::\n{rest}"
    if not docname.startswith(CHAPTERS):
        return source
    record = records.get(docname.removeprefix(CHAPTERS))
    text = record.path.read_text(encoding="utf-8") if record else source
    notebook = takeaway_first(json.loads(text))
    if note := chapter_note(record, bool(records)):
        cell = {"cell_type": "markdown", "metadata": {}, "id": "where-from"}
        notebook["cells"].insert(1, {**cell, "source": f":::{{note}}\n{note}\n:::"})
    return json.dumps(notebook)


def _numbers(chapters: Iterable[str]) -> str:
    return ", ".join(chapter[:2].lstrip("0") for chapter in sorted(chapters))


def _always_reread(
    app: Sphinx, env: Any, added: set[str], changed: set[str], removed: set[str]
) -> list[str]:
    """Records change without their committed copies changing."""
    return [name for name in env.found_docs if name.startswith((CHAPTERS, FRONT))]
