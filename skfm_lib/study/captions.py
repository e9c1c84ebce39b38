"""Numbers and captions of figures and tables, the same in the book and in JupyterLab.

They are counted in the order of a chapter's source: Table 6.2 is the second table of
chapter 6, whether or not the cells before it were run.  Sphinx writes them into the
book's pages (`number_figures`).  JupyterLab knows neither a figure's caption, which
stands in the metadata of its cell, nor the book's directive for a table, so that both
are displayed there as plain Markdown, of which the book shows none (`for_lab`).
"""

import contextlib
import itertools
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, NamedTuple

from skfm_lib.utils.front_end import in_jupyterlab
from skfm_lib.utils.paths import project_root

KEY = "skfm"  # of the metadata that the library leaves in outputs
IN_BOOK = "in book"  # under this key: the Markdown that the book shows instead
TABLE = re.compile(r'"(tab-[\w-]+)"')  # names are written out in the sources


class Numbers(NamedTuple):
    """The figures and tables of the chapters.

    Attributes:
        of_name: name → (chapter, number).
        of_cell: id of a notebook's cell → name and caption of its figure.
    """

    of_name: dict[str, tuple[int, int]]
    of_cell: dict[str, tuple[str, str]]


@lru_cache(maxsize=1)
def numbers() -> Numbers:
    """Those of all notebooks in ``notebooks/`` that can be read."""
    found = Numbers({}, {})
    for path in sorted(project_root().glob("notebooks/[0-9][0-9]_*.ipynb")):
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            notebook = json.loads(path.read_text(encoding="utf-8"))
            _count(found, int(path.name[:2]), notebook["cells"])
    return found


def _count(found: Numbers, chapter: int, cells: list[dict[str, Any]]) -> None:
    """Number the figures and tables of a chapter."""
    tables, figures = itertools.count(1), itertools.count(1)
    for cell in cells:
        if cell["cell_type"] != "code":
            continue
        for name in TABLE.findall("".join(cell["source"])):
            found.of_name[name] = chapter, next(tables)
        if figure := cell["metadata"].get("mystnb", {}).get("figure"):
            found.of_name[figure["name"]] = chapter, next(figures)
            found.of_cell[cell["id"]] = figure["name"], figure["caption"]


def title(kind: str, name: str) -> str:
    """``Table 6.2``; the kind alone for a name that no chapter has."""
    number = numbers().of_name.get(name)
    return f"{kind} {number[0]}.{number[1]}" if number else kind


def for_lab(in_book: str) -> dict[str, Any]:
    """Metadata of Markdown for JupyterLab: what the book shows instead, "" for nothing.

    >>> for_lab("")
    {'skfm': {'in book': ''}}
    """
    return {KEY: {IN_BOOK: in_book}}


def caption_figures() -> None:
    """From now on, JupyterLab shows every figure's number and caption below it."""
    if in_jupyterlab():
        from IPython import get_ipython

        get_ipython().events.register("post_run_cell", _show_caption)


def _show_caption(result: Any) -> None:
    """After a cell has run; its figures were shown before."""
    from IPython.display import Markdown, display

    figure = numbers().of_cell.get(result.info.cell_id)
    if figure and result.success:
        name, caption = figure
        text = f"**{title('Fig.', name)}** {caption}"
        display(Markdown(text, metadata=for_lab(in_book="")))


def as_in_book(notebook: dict[str, Any]) -> dict[str, Any]:
    """A record with what the book shows in place of what was for JupyterLab."""
    for cell in notebook["cells"]:
        kept = []
        for output in cell.get("outputs", []):
            about = output.get("metadata", {}).get("text/markdown", {})
            in_book = about.get(KEY, {}).get(IN_BOOK)
            if in_book is not None:
                output["data"]["text/markdown"] = in_book
            if in_book != "":
                kept.append(output)
        if "outputs" in cell:
            cell["outputs"] = kept
    return notebook


def number_figures(env: Any, chapters: str) -> None:
    """Give Sphinx's figures and tables the `numbers` of their chapters.

    `chapters` is how the names of their pages begin; other pages count through.
    """
    others: dict[str, Iterator[int]] = defaultdict(partial(itertools.count, 1))
    for page, kinds in env.toc_fignumbers.items():
        for kind, own in kinds.items():
            if page.startswith(chapters):
                own |= _chapter_numbers(list(own), int(page.removeprefix(chapters)[:2]))
            else:
                own |= {name: (next(others[kind]),) for name in own}


def _chapter_numbers(names: Sequence[str], chapter: int) -> dict[str, tuple[int, int]]:
    """Those without a number, of a reader's own cells, follow the others."""
    known = {n: numbers().of_name[n] for n in names if n in numbers().of_name}
    more = itertools.count(1 + max((last for _, last in known.values()), default=0))
    return {name: known.get(name) or (chapter, next(more)) for name in names}
