"""The book builds offline without warnings, and shows the reader's own run."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from skfm_lib.study import book
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import write_json

ROOT = Path(__file__).parents[2]
CHAPTER = "walkthrough/01_preprocess"


@pytest.fixture
def run(project, monkeypatch):
    """A project whose run `mine` has a record of chapter 1."""
    monkeypatch.delenv("SKFM_RUN", raising=False)
    text = f"made in {project}/runs/mine"
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell(text)])
    folder = project / "runs" / "mine" / "notebooks"
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / "01_preprocess.ipynb")
    return project


def test_without_a_run_the_committed_records_are_shown(project, monkeypatch):
    monkeypatch.delenv("SKFM_RUN", raising=False)
    assert book.shown_run() is None and book.record_of(CHAPTER) is None


def test_the_latest_run_is_shown_where_it_has_a_record(run):
    book.show_run("mine")
    assert book.record_of(CHAPTER).parent.parent.name == "mine"
    assert book.record_of("walkthrough/02_train_vqvae") is None
    assert book.record_of("method") is None


def test_the_environment_chooses_another_run(run, monkeypatch):
    book.show_run("other")
    monkeypatch.setenv("SKFM_RUN", "mine")
    assert book.shown_run() == "mine"
    monkeypatch.setenv("SKFM_RUN", "committed")
    assert book.shown_run() is None


def test_published_records_hold_no_path_of_this_machine(run):
    with pytest.raises(SkfmError, match="skfm study"):
        book.publish()
    book.show_run("mine")
    (written,) = book.publish()
    assert written == run / "book" / f"{CHAPTER}.ipynb"
    assert str(run) not in written.read_text()
    assert "made in runs/mine" in written.read_text()


def test_the_book_builds_without_warnings_and_shows_a_run(tmp_path):
    names = ("book", "_config.yml", "pyproject.toml", "notebooks")
    for name in names:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    record = tmp_path / "runs" / "mine" / "notebooks" / "01_preprocess.ipynb"
    record.parent.mkdir(parents=True)
    notebook = json.loads((tmp_path / "book" / f"{CHAPTER}.ipynb").read_text())
    notebook["cells"][0]["source"] = ["# 1 · A title of my own run"]
    write_json(record, notebook)
    write_json(tmp_path / "runs" / "book.json", {"run": "mine"})
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book"]
    done = subprocess.run(
        [*command, "-W", "-n", "--keep-going"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    pages = tmp_path / "_build" / "html"
    assert "A title of my own run" in (pages / f"{CHAPTER}.html").read_text()
    for page in pages.rglob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text and 'rel="stylesheet" href="http' not in text
