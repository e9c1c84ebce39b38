"""The book shows the reader's own run where there is one.

A Sphinx extension: a chapter ``walkthrough/NN_name.ipynb`` is read from the record
that the latest study left in ``runs/<run>/notebooks/``, and from the committed copy
where the reader has none.  So the book follows the run, and no tracked file changes.
``SKFM_RUN`` names another run; ``SKFM_RUN=committed`` shows the committed records.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.util import logging

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing, write_json
from skfm_lib.utils.paths import project_root

CHAPTERS = "walkthrough/"
logger = logging.getLogger(__name__)


def show_run(name: str) -> None:
    """Make `name` the run that the next build of the book shows."""
    write_json(project_root() / "runs" / "book.json", {"run": name})


def shown_run() -> str | None:
    """The run that the book shows, or None for the committed records."""
    chosen = os.environ.get("SKFM_RUN")
    latest = project_root() / "runs" / "book.json"
    if chosen is None and latest.is_file():
        chosen = read_json(latest)["run"]
    return None if chosen == "committed" else chosen


def record_of(chapter: str) -> Path | None:
    """The reader's own record of a chapter (its docname), if there is one."""
    run = shown_run()
    if run is None or not chapter.startswith(CHAPTERS):
        return None
    name = chapter.removeprefix(CHAPTERS)
    record = project_root() / "runs" / run / "notebooks" / f"{name}.ipynb"
    return record if record.is_file() else None


def publish() -> list[Path]:
    """Copy the shown run's records into the book, without this machine's paths.

    Raises SkfmError when no run is shown.
    """
    run, root = shown_run(), project_root()
    if run is None:
        raise SkfmError("no run to publish", "a finished study", "skfm study")
    written = []
    for record in sorted((root / "runs" / run / "notebooks").glob("*.ipynb")):
        text = record.read_text(encoding="utf-8").replace(f"{root}/", "")
        target = root / "book" / CHAPTERS / record.name
        with replacing(target) as temporary:
            temporary.write_text(text, encoding="utf-8")
        written.append(target)
    return written


def setup(app: Sphinx) -> dict[str, object]:
    """Let Sphinx read chapters from the run that is shown."""
    app.connect("source-read", _read_record, priority=1)
    app.connect("env-get-outdated", _always_reread)
    if shown_run():
        logger.info("skfm: chapters from run %r where it has them", shown_run())
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}


def _read_record(app: Sphinx, docname: str, source: list[str]) -> None:
    record = record_of(docname)
    if record:
        source[0] = record.read_text(encoding="utf-8")


def _always_reread(
    app: Sphinx, env: object, added: set, changed: set, removed: set
) -> Iterable[str]:
    """Records change without their committed copies changing."""
    return [name for name in env.found_docs if name.startswith(CHAPTERS)]
