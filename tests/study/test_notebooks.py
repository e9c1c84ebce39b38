"""A chapter's kernel that dies is reported in one line."""

import nbformat
import pytest

from skfm_lib.study.notebooks import run_notebook
from skfm_lib.utils.errors import SkfmError


def test_a_kernel_that_dies_is_reported(project, capfd):
    path = project / "notebooks" / "01_x.ipynb"
    cell = nbformat.v4.new_code_cell("import os\nos._exit(1)")
    cell.metadata["tags"] = ["parameters"]
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3"}
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)
    with pytest.raises(SkfmError, match="01_x: its kernel died.*check-device --only"):
        run_notebook(path, project / "runs" / "a" / "notebooks" / "01_x.ipynb", {})
