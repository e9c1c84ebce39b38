"""The library's docstrings as the API page shows them.

Docstrings are plain text, laid out for the reader of the code: sentences, and
tables of ``name  meaning`` whose meanings may go on in indented lines.  This Sphinx
extension makes each such row an item of a list.
"""

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

ROW = re.compile(r"(\S(?:.*?\S)?) {2,}(\S.*)")
SENTENCE = re.compile(r"[.:;,]$")  # two spaces after these are prose


def setup(app: Sphinx) -> dict[str, object]:
    """Let autodoc pass every docstring through `as_list`."""
    app.connect("autodoc-process-docstring", _process)
    return {"version": "1", "parallel_read_safe": True}


def as_list(lines: list[str]) -> Iterator[str]:
    """The lines of a docstring with ``name  meaning`` rows as list items."""
    row_above = False
    for line in lines:
        row = ROW.fullmatch(line)
        if row and not SENTENCE.search(row[1]):
            yield from ([] if row_above else [""])
            yield f"* **{row[1]}** – {_plain(row[2])}"
            row_above = True
        elif row_above and line.startswith(" "):
            yield f"  {_plain(line.strip())}"
        else:
            yield from ([""] if row_above and line else [])
            yield _plain(line)
            row_above = False


def _plain(text: str) -> str:
    """Text with the signs of reStructuredText that formulas use made harmless."""
    return re.sub(r"(?<!`)([|*])(?!`)", r"\\\1", text)


def _process(app: Sphinx, what: str, name: str, obj, options, lines: list) -> None:
    lines[:] = list(as_list(lines))
