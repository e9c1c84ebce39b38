"""Read what an executed chapter shows: tables, values, figures, what made it.

Pages and tests read results here, from the output of the chapters, so that a number
stands in one place only.
"""

import ast
import base64
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from skfm_lib.utils.errors import SkfmError

Table = dict[str, dict[str, str]]  # row → column → what is printed


@dataclass(frozen=True)
class Contents:
    """The outputs of an executed chapter.

    Attributes:
        values: what `view.tables.record` kept, by name.
        tables: those of `view.tables.table`, by name.
        captions: of the tables, by name.
        figures: PNG files, by the name of their figure.
        made_by: the last line, `view.tables.made_by`, as Markdown.
        papermill: what papermill left, such as ``parameters`` and ``duration``.
    """

    values: Mapping[str, Any]
    tables: Mapping[str, Table]
    captions: Mapping[str, str]
    figures: Mapping[str, bytes]
    made_by: str
    papermill: Mapping[str, Any]

    def entry(self, table: str, row: str, column: str) -> str:
        """What a table prints there; "" where it has no such table, row or column.

        A table may be transposed: `row` may be the name of a column.
        """
        rows = self.tables.get(table, {})
        return rows.get(row, {}).get(column) or rows.get(column, {}).get(row, "")


def read_contents(path: Path) -> Contents:
    """The outputs of the executed notebook in a file.

    Raises:
        SkfmError: for a file that is no notebook.
    """
    try:
        notebook = json.loads(path.read_text(encoding="utf-8"))
        cells, papermill = notebook["cells"], notebook["metadata"].get("papermill", {})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SkfmError(f"{path}: {error}", "an executed notebook") from None
    values: dict[str, Any] = {}
    tables: dict[str, Table] = {}
    captions, figures, made_by = {}, {}, ""
    for cell, output in _outputs(cells):
        data = output.get("data", {})
        text = "".join(data.get("text/markdown", ""))
        if text.startswith(":::{table}"):
            caption, name, *lines = text.splitlines()
            name = name.removeprefix(":name: ")
            captions[name] = caption.removeprefix(":::{table} ")
            tables[name] = _table(lines)
        elif "Made by stage" in text:
            made_by = text.removeprefix("<small>").removesuffix("</small>")
        elif kept := output.get("metadata", {}).get("scrapbook"):
            values[kept["name"]] = ast.literal_eval("".join(*data.values()))
        elif "image/png" in data and (name := _figure_name(cell)):
            figures[name] = base64.b64decode("".join(data["image/png"]))
    return Contents(values, tables, captions, figures, made_by, papermill)


def _outputs(cells: list[dict]) -> Iterator[tuple[dict, dict]]:
    for cell in cells:
        for output in cell.get("outputs", []):
            yield cell, output


def _figure_name(cell: dict[str, Any]) -> str:
    return cell["metadata"].get("mystnb", {}).get("figure", {}).get("name", "")


def _table(lines: list[str]) -> Table:
    """The rows of a table in Markdown, whose first column has their names."""
    rows = [
        [text.strip() for text in line.strip("|").split("|")]
        for line in lines
        if line.startswith("|")
    ]
    (_, *columns), _, *body = rows
    return {name: dict(zip(columns, texts)) for name, *texts in body}
