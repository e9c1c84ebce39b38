"""Today's text around the outputs of a record: a change of text needs no new run."""

import ast
from typing import Any

INJECTED = "injected-parameters"  # papermill's tag
Notebook = dict[str, Any]


def rendered(record: Notebook, source: Notebook) -> Notebook | None:
    """The `source` with a record's outputs; None where it has other code.

    Code is compared as syntax trees: comments and formatting are text, as are Markdown
    and the metadata of cells, such as captions and tags.  The parameters that papermill
    injected stay.
    """
    ran = [cell for cell in _code(record) if not _is_injected(cell)]
    now = _code(source)
    if [_syntax(cell) for cell in ran] != [_syntax(cell) for cell in now]:
        return None
    injected = [cell for cell in _code(record) if _is_injected(cell)]
    cells, executed = [], iter(ran)
    for cell in source["cells"]:
        if cell["cell_type"] != "code":
            cells.append(cell)
            continue
        former = next(executed)
        kept = {name: former[name] for name in ("outputs", "execution_count")}
        times = {k: v for k, v in former["metadata"].items() if k == "papermill"}
        cells.append({**cell, **kept, "metadata": {**times, **cell["metadata"]}})
        if "parameters" in cell["metadata"].get("tags", []):
            cells += injected
    return {**record, "cells": cells}


def _code(notebook: Notebook) -> list[Notebook]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def _is_injected(cell: Notebook) -> bool:
    return INJECTED in cell["metadata"].get("tags", [])


def _syntax(cell: Notebook) -> str:
    source = "".join(cell["source"])
    try:
        return ast.dump(ast.parse(source))
    except SyntaxError:  # a magic
        return source
