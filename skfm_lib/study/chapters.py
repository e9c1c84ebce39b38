"""Chapters as the book shows them: the text of the source, the outputs of the record.

A change of a notebook's prose, tags or captions needs no execution: `refresh` takes
them into the committed records.  A change of its code does, and is reported.
"""

import json
import re
from pathlib import Path
from typing import Any

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.paths import project_root

TAKEAWAY = "skfm-takeaway"  # metadata of `view.tables.takeaway`: its sentences
PARAMETERS = "injected-parameters"  # papermill's tag of the cell that it adds
OF_PAPERMILL = ("papermill", "execution")  # metadata that a record has on its own
PROGRESS = re.compile(r".{0,60}  \d+(/\d+)? · \d+ .*")  # a line of `utils.progress`
Notebook = dict[str, Any]


def refresh() -> list[Path]:
    """Take the text of ``notebooks/`` into the committed records whose code agrees.

    Text is all but code and outputs: prose, tags, captions, alternative texts.

    Returns:
        The records that changed.

    Raises:
        SkfmError: naming the records whose code differs, after all others are written.
    """
    root, written, differing = project_root(), [], []
    for path in sorted((root / "book" / "walkthrough").glob("*.ipynb")):
        record, source = _read(path), _read(root / "notebooks" / path.name)
        if changed_code(record, source):
            differing.append(path.stem)
        elif (found := refreshed(record, source)) != record:
            with replacing(path) as temporary:
                temporary.write_text(json.dumps(found, indent=1) + "\n", "utf-8")
            written.append(path)
    if differing:
        numbers = " ".join(name[:2] for name in differing)
        raise SkfmError(
            f"the code of {', '.join(differing)} differs from that of its record",
            "records of the notebooks as they are",
            f"skfm run {numbers}, then skfm book --publish",
        )
    return written


def changed_code(record: Notebook, source: Notebook) -> list[str]:
    """The ids of code cells, of either, that the other has not or has otherwise."""
    ours, theirs = _code(record), _code(source)
    return [key for key in {**theirs, **ours} if ours.get(key) != theirs.get(key)]


def refreshed(record: Notebook, source: Notebook) -> Notebook:
    """A record with the prose and the metadata of its source, cell by cell."""
    executed = {cell.get("id"): cell for cell in record["cells"]}
    cells = []
    for cell in source["cells"]:
        former = executed.get(cell["id"], {})
        kept = {
            key: value
            for key, value in former.get("metadata", {}).items()
            if key in OF_PAPERMILL
        }
        metadata = {**kept, "tags": [], **cell["metadata"]}
        run = former if cell["cell_type"] == "code" else {}
        cells.append({**cell, **run, "metadata": metadata})
        if "parameters" in metadata["tags"]:
            cells += [one for one in record["cells"] if _is_injected(one)]
    return {**record, "cells": cells}


def as_shown(notebook: Notebook, note: str = "") -> Notebook:
    """A chapter for the book: a note and the takeaway stand below its title.

    The takeaway is made by the chapter's last cell, when all results are there.
    Progress lines stay only where a cell has no other output.
    """
    first, *rest = notebook["cells"]
    top, sentences = [], []
    for i, cell in enumerate(rest):
        outputs, found = _without_takeaway(cell.get("outputs", []))
        sentences += found
        results = [output for output in outputs if not _is_progress(output)]
        if "outputs" in cell:
            rest[i] = {**cell, "outputs": results or outputs}
    if note:
        top.append(_prose("where-from", f":::{{note}}\n{note}\n:::"))
    if sentences:
        lines = "\n".join(f"- {sentence}" for sentence in sentences)
        box = f":::{{admonition}} In short\n:class: tip takeaway\n\n{lines}\n:::"
        top.append(_prose("takeaway", box))
    return {**notebook, "cells": [*_split(first, top), *rest]}


def _split(first: dict[str, Any], top: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first cell, with other cells between its title and its lead."""
    text = "".join(first["source"])
    title, _, lead = text.partition("\n")
    if not top:
        return [first]
    return [{**first, "source": title}, *top, _prose("lead", lead.strip())]


def _without_takeaway(
    outputs: list[dict[str, Any]],
) -> tuple[list[dict[str, Any]], list[str]]:
    """The other outputs, and the sentences of the takeaway."""
    rest, sentences = [], []
    for output in outputs:
        found = output.get("metadata", {}).get("text/markdown", {})
        if TAKEAWAY in found:
            sentences += found[TAKEAWAY]
        else:
            rest.append(output)
    return rest, sentences


def _is_progress(output: dict[str, Any]) -> bool:
    """Whether an output is a line of `utils.progress`."""
    data = output.get("data", {})
    return set(data) == {"text/plain"} and bool(
        PROGRESS.fullmatch("".join(data["text/plain"]))
    )


def _code(notebook: Notebook) -> dict[str, str]:
    return {
        str(cell.get("id")): "".join(cell["source"])
        for cell in notebook["cells"]
        if cell["cell_type"] == "code" and not _is_injected(cell)
    }


def _is_injected(cell: dict[str, Any]) -> bool:
    return PARAMETERS in cell["metadata"].get("tags", [])


def _prose(key: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "id": key, "source": text}


def _read(path: Path) -> Notebook:
    try:
        content: Notebook = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SkfmError(f"{path}: {error}", "a notebook") from error
    return content
