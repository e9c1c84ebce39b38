"""Chapters as the book shows them: what was found stands first."""

import re
from typing import Any

TAKEAWAY = "skfm-takeaway"  # metadata of `view.tables.takeaway`: its sentences
PROGRESS = re.compile(r".{0,60}  \d+(/\d+)? · \d+ .*")  # a line of `utils.progress`
Notebook = dict[str, Any]
Output = dict[str, Any]


def takeaway_first(notebook: Notebook) -> Notebook:
    """A chapter with its takeaway as a box below the title.

    A chapter makes it at its end, when all results are there.  Progress lines stay
    only where a cell has no other output.
    """
    first, *rest = notebook["cells"]
    sentences = []
    for i, cell in enumerate(rest):
        if "outputs" in cell:
            outputs, found = _split(cell["outputs"])
            rest[i] = {**cell, "outputs": outputs}
            sentences += found
    if not sentences:
        return {**notebook, "cells": [first, *rest]}
    title, _, lead = "".join(first["source"]).partition("\n")
    lines = "\n".join(f"- {sentence}" for sentence in sentences)
    box = f":::{{admonition}} In short\n:class: tip takeaway\n\n{lines}\n:::"
    top = [{**first, "source": title}, _prose("takeaway", box)]
    return {**notebook, "cells": [*top, _prose("lead", lead.strip()), *rest]}


def _split(outputs: list[Output]) -> tuple[list[Output], list[str]]:
    """The outputs that stay, and the sentences of a takeaway among them."""
    rest: list[Output] = []
    sentences: list[str] = []
    for output in outputs:
        about = output.get("metadata", {}).get("text/markdown", {})
        if TAKEAWAY in about:
            sentences += about[TAKEAWAY]
        else:
            rest.append(output)
    return [one for one in rest if not _is_progress(one)] or rest, sentences


def _is_progress(output: Output) -> bool:
    data = output.get("data", {})
    text = "".join(data.get("text/plain", ""))
    return set(data) == {"text/plain"} and bool(PROGRESS.fullmatch(text))


def _prose(key: str, text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "id": key, "source": text}
