"""Who watches: a browser, papermill, or a terminal."""

from types import SimpleNamespace

import IPython
import pytest

from skfm_lib.utils import front_end


@pytest.fixture
def kernel(monkeypatch):
    """As under a Jupyter kernel that nothing has started."""
    for name in ("JPY_SESSION_NAME", "SKFM_PROGRESS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace(kernel=1))
    return monkeypatch


def test_a_terminal_is_no_notebook(monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", "03.ipynb")
    monkeypatch.setattr(IPython, "get_ipython", lambda: None)
    assert not front_end.in_notebook() and not front_end.in_jupyterlab()
    monkeypatch.setattr(IPython, "get_ipython", lambda: SimpleNamespace())
    assert not front_end.in_notebook()  # IPython in a terminal


def test_papermill_is_a_notebook_without_a_browser(kernel):
    assert front_end.in_notebook() and not front_end.in_jupyterlab()


def test_a_server_of_jupyterlab_names_the_notebook(kernel):
    kernel.setenv("JPY_SESSION_NAME", "notebooks/03_train_otfm.ipynb")
    assert front_end.in_jupyterlab()
    kernel.setenv("SKFM_PROGRESS", "line")  # `!skfm run 03` in a notebook
    assert not front_end.in_jupyterlab()
