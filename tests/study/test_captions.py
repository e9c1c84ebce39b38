"""Figures and tables have one number and caption, in the book and in JupyterLab."""

import json
from pathlib import Path
from types import SimpleNamespace

import IPython
import pytest

from skfm_lib.study import captions
from skfm_lib.view import tables

ROOT = Path(__file__).parents[2]
ROWS = {"a": {"x": 1}}


def code(cell_id, source, figure=None):
    metadata = {"mystnb": {"figure": figure}} if figure else {}
    return {"cell_type": "code", "id": cell_id, "source": source, "metadata": metadata}


@pytest.fixture
def chapter(project, monkeypatch):
    """A project whose chapter 6 has two tables and a figure."""
    figure = {"name": "fig-a", "caption": "What it shows."}
    cells = [
        code("one", ['tables.table(rows, "tab-a", "A")\n', "1"]),
        {"cell_type": "markdown", "id": "text", "source": '"tab-x"', "metadata": {}},
        code("two", "figure = draw()", figure),
        code("three", 'tables.table(rows, "tab-b", "B")'),
    ]
    path = project / "notebooks/06_metrics.ipynb"
    path.write_text(json.dumps({"cells": cells}))
    captions.numbers.cache_clear()
    yield project
    captions.numbers.cache_clear()


@pytest.fixture
def lab(monkeypatch):
    """JupyterLab, as it seems."""
    for module in (captions, tables):
        monkeypatch.setattr(module, "in_jupyterlab", lambda: True)


def test_numbers_count_in_a_chapter_by_kind(chapter):
    assert captions.numbers().of_name == {
        "tab-a": (6, 1),
        "fig-a": (6, 1),
        "tab-b": (6, 2),
    }
    assert captions.title("Table", "tab-b") == "Table 6.2"
    assert captions.title("Table", "tab-of-my-own") == "Table"


def test_a_notebook_that_cannot_be_read_has_no_numbers(chapter):
    (chapter / "notebooks/07_failures.ipynb").write_text('{"cells": [')
    (chapter / "notebooks/08_alignment.ipynb").write_text('{"cells": [1]}')
    assert set(captions.numbers().of_name) == {"tab-a", "tab-b", "fig-a"}


def test_ids_of_cells_with_figures_are_unique():
    paths = sorted(ROOT.glob("notebooks/*.ipynb"))
    cells = [c for p in paths for c in json.loads(p.read_text("utf-8"))["cells"]]
    ids = [c["id"] for c in cells if "figure" in c["metadata"].get("mystnb", {})]
    assert len(ids) == len(set(ids)) > 40


def test_tables_of_jupyterlab_keep_what_the_book_shows(chapter, lab, monkeypatch):
    made = tables.table(ROWS, "tab-b", "The caption")
    assert made.data.startswith("**Table 6.2** The caption\n\n| ")
    (kept,) = made.metadata.values()
    monkeypatch.setattr(tables, "in_jupyterlab", lambda: False)
    assert kept == {"in book": tables.table(ROWS, "tab-b", "The caption").data}
    assert ":::{table} The caption\n:name: tab-b" in kept["in book"]


def test_a_figure_of_jupyterlab_has_its_caption_below(chapter, lab, monkeypatch):
    hooks, shown = [], []
    events = SimpleNamespace(register=lambda event, hook: hooks.append((event, hook)))
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(events=events))
    monkeypatch.setattr("IPython.display.display", shown.append)
    captions.caption_figures()
    ((event, hook),) = hooks
    assert event == "post_run_cell"
    for cell, success in (("one", True), ("two", False), (None, True), ("two", True)):
        hook(SimpleNamespace(info=SimpleNamespace(cell_id=cell), success=success))
    (caption,) = shown
    assert caption.data == "**Fig. 6.1** What it shows."
    assert caption.metadata == captions.for_lab("")


def test_elsewhere_no_hook_is_left(chapter, monkeypatch):
    monkeypatch.setattr(IPython, "get_ipython", lambda: pytest.fail("asked"))
    captions.caption_figures()


def test_the_book_shows_nothing_that_was_for_jupyterlab():
    def output(text, metadata):
        content = {"data": {"text/markdown": text}}
        return content | {"metadata": {"text/markdown": metadata}}

    table = output("**Table**", captions.for_lab(":::{table}"))
    figure = output("**Fig.**", captions.for_lab(""))
    made = output("Made by", {"skfm": {"run": "mine"}})
    stream = {"output_type": "stream", "text": "line"}
    cells = [{"outputs": [table, figure, made, stream]}, {"source": "text"}]
    shown = captions.as_in_book({"cells": cells})["cells"]
    first, *rest = shown[0]["outputs"]
    assert first["data"]["text/markdown"] == ":::{table}"
    assert rest == [made, stream] and shown[1] == {"source": "text"}


def test_pages_have_the_numbers_of_their_chapters(chapter):
    numbered = {
        "intro": {"figure": {"fig-front": (1,)}},
        "walkthrough/06_metrics": {
            "table": {"tab-b": (2,), "tab-mine": (3,)},
            "figure": {"fig-a": (2,)},
        },
        "howto": {"figure": {"fig-lab": (3,)}, "table": {"tab-other": (4,)}},
    }
    captions.number_figures(SimpleNamespace(toc_fignumbers=numbered), "walkthrough/")
    assert numbered == {
        "intro": {"figure": {"fig-front": (1,)}},
        "walkthrough/06_metrics": {
            "table": {"tab-b": (6, 2), "tab-mine": (6, 3)},
            "figure": {"fig-a": (6, 1)},
        },
        "howto": {"figure": {"fig-lab": (2,)}, "table": {"tab-other": (1,)}},
    }
