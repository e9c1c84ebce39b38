"""What an executed chapter shows, read back from its outputs."""

import base64

import nbformat
import pytest
from IPython.core.formatters import DisplayFormatter

from skfm_lib.metrics import Interval
from skfm_lib.study.record_contents import read_contents
from skfm_lib.utils.errors import SkfmError
from skfm_lib.view import tables

ROWS = {"ours": {"FID ↓": Interval(7.7, 6, 9.9), "n": 182}, "paper: OTFM": {"FID ↓": 2}}


def record(tmp_path, *outputs, figure=""):
    """A notebook of one cell with these outputs."""
    cell = nbformat.v4.new_code_cell("", outputs=list(outputs))
    cell.metadata["mystnb"] = {"figure": {"name": figure}} if figure else {}
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["papermill"] = {"parameters": {"run": "mine"}, "duration": 60.0}
    path = tmp_path / "06_metrics.ipynb"
    nbformat.write(notebook, path)
    return path


def shown(value):
    """The output of a cell that ends with `value`."""
    data, metadata = DisplayFormatter().format(value)
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


def test_tables_are_read_as_they_are_printed(tmp_path):
    table = tables.table(ROWS, "tab-x", "A caption: 182 skulls")
    found = read_contents(record(tmp_path, shown(table)))
    assert found.tables["tab-x"]["ours"] == {"FID ↓": "7.7 (6–9.9)", "n": "182"}
    assert found.tables["tab-x"]["paper: OTFM"] == {"FID ↓": "2", "n": ""}
    assert found.captions == {"tab-x": "A caption: 182 skulls"}
    assert found.entry("tab-x", "ours", "n") == "182"
    assert found.entry("tab-x", "n", "ours") == "182"  # of a transposed table
    assert found.entry("tab-x", "theirs", "n") == found.entry("tab-y", "a", "b") == ""


def test_values_and_figures_are_read_by_name(tmp_path, monkeypatch):
    kept = []
    monkeypatch.setattr(tables, "display", lambda *a, **k: kept.append((a[0], k)))
    tables.record("fid-ours", 7.75)
    tables.record("met", "38 of 38")
    outputs = [
        nbformat.v4.new_output("display_data", data, metadata=how["metadata"])
        for data, how in kept
    ]
    png = base64.b64encode(b"picture").decode()
    outputs.append(nbformat.v4.new_output("display_data", {"image/png": png}))
    found = read_contents(record(tmp_path, *outputs, figure="fig-x"))
    assert found.values == {"fid-ours": 7.75, "met": "38 of 38"}
    assert found.figures == {"fig-x": b"picture"}
    assert found.papermill["parameters"] == {"run": "mine"}


@pytest.mark.parametrize("text", ["", "[]", '{"cells": 1}'])
def test_what_is_no_notebook_is_named(tmp_path, text):
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(SkfmError, match=r"x\.ipynb.*an executed notebook"):
        read_contents(tmp_path / "x.ipynb")
