"""The book builds offline without warnings, and shows the reader's own run."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote

import nbformat
import pytest
import yaml

from skfm_lib.study import book, open_study
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import write_json

ROOT = Path(__file__).parents[2]
CHAPTER = "walkthrough/01_preprocess"


def made_by(run, stage="01_preprocess", fingerprint="f"):
    """The output that `view.tables.made_by` leaves in a record."""
    about = {"run": run, "stage": stage, "fingerprint": fingerprint}
    return nbformat.v4.new_output(
        "display_data",
        {"text/markdown": "Made by"},
        metadata={"text/markdown": {"skfm": about}},
    )


def write_record(path, *outputs, text="text", ran=None, age=0):
    """An executed notebook, saved `age` seconds ago; `ran` by papermill from there."""
    cells = [
        nbformat.v4.new_markdown_cell(f"# {text}"),
        nbformat.v4.new_code_cell("made_by(stage)", outputs=list(outputs)),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    if ran:
        notebook.metadata["papermill"] = {"input_path": ran, "exception": None}
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(notebook, path)
    saved = path.stat().st_mtime - age
    os.utime(path, (saved, saved))


@pytest.fixture
def run(project, monkeypatch):
    """A project whose run `mine` has a fresh record of chapter 1."""
    monkeypatch.delenv("SKFM_RUN", raising=False)
    stage = open_study("mine", "tiny").stage("01_preprocess", {})
    stage.finish()
    output = made_by("mine", fingerprint=stage.fingerprint)
    path = project / "runs/mine/notebooks/01_preprocess.ipynb"
    write_record(path, output, text=f"made in {project}/runs/mine", age=50)
    return project


def test_without_a_run_the_committed_records_are_shown(project, monkeypatch):
    monkeypatch.delenv("SKFM_RUN", raising=False)
    assert book.shown_records() == {}
    assert book.sources_note({}) == "" and book.chapter_note(None, False) == ""


def test_the_run_of_the_latest_record_is_shown(run):
    assert {k: r.run for k, r in book.shown_records().items()} == {CHAPTER[12:]: "mine"}
    write_record(run / "runs/other/notebooks/02_x.ipynb", made_by("other"), age=90)
    assert set(book.shown_records()) == {"01_preprocess"}
    write_record(run / "runs/other/notebooks/02_x.ipynb", made_by("other"), age=10)
    assert set(book.shown_records()) == {"02_x"}


@pytest.mark.parametrize(
    ("path", "ran"),
    [
        ("out.ipynb", "notebooks/03_train_otfm.ipynb"),  # plain papermill
        ("notebooks/03_train_otfm.ipynb", None),  # saved in JupyterLab
        ("runs/mine/notebooks/03_train_otfm.ipynb", "notebooks/03_train_otfm.ipynb"),
    ],
)
def test_records_of_every_way_to_run_a_chapter_are_found(run, path, ran):
    write_record(run / path, made_by("mine", "03_train_otfm"), ran=ran)
    assert book.shown_records()["03_train_otfm"].path == run / path


@pytest.mark.parametrize("name", ["01_preprocess-Copy1", "01_preprocess.nbconvert"])
def test_copies_of_a_chapter_are_not_chapters(run, name):
    write_record(run / "notebooks" / f"{name}.ipynb", made_by("mine"))
    assert set(book.shown_records()) == {"01_preprocess"}


def test_what_ended_in_an_error_or_was_not_run_to_its_end_is_no_chapter(run):
    error = nbformat.v4.new_output(
        "error", ename="SkfmError", evalue="no", traceback=[]
    )
    write_record(run / "out.ipynb", made_by("mine"), error, ran="x/01_preprocess.ipynb")
    write_record(run / "notebooks/01_preprocess.ipynb")
    (run / "broken.ipynb").write_text("{")
    (record,) = book.shown_records().values()
    assert record.path.parent.parent.name == "mine"


def test_the_environment_chooses_another_run(run, monkeypatch):
    write_record(run / "runs/other/notebooks/02_x.ipynb", made_by("other"))
    monkeypatch.setenv("SKFM_RUN", "mine")
    assert set(book.shown_records()) == {"01_preprocess"}
    monkeypatch.setenv("SKFM_RUN", "committed")
    assert book.shown_records() == {}


def test_the_book_says_where_its_chapters_are_from_and_which_are_stale(run):
    records = book.shown_records()
    note = book.sources_note(records)
    assert "From your run `mine`: 1." in note and "Stale" not in note
    assert book.chapter_note(records["01_preprocess"], True) == ""
    assert "not of your run" in book.chapter_note(None, True)
    open_study("mine", "tiny").stage("01_preprocess", {"other": 1}).finish()
    records = book.shown_records()
    assert "Stale, the run has changed since: 1." in book.sources_note(records)
    assert "stale" in book.chapter_note(records["01_preprocess"], True)
    with pytest.raises(SkfmError, match="stale"):
        book.publish()


def test_published_records_hold_no_path_of_this_machine(run, monkeypatch):
    (written,) = book.publish()
    assert written == run / "book" / f"{CHAPTER}.ipynb"
    assert str(run) not in written.read_text()
    assert "made in runs/mine" in written.read_text()
    monkeypatch.setenv("SKFM_RUN", "committed")
    with pytest.raises(SkfmError, match="skfm study"):
        book.publish()


def test_the_book_builds_without_warnings_and_shows_a_run(tmp_path):
    names = ("book", "_config.yml", "pyproject.toml", "notebooks", "CITATION.cff")
    for name in names:
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, tmp_path / name)
    # Every page's sidebar would copy, and then drop, what functions the API has.
    config = yaml.safe_load((tmp_path / "_config.yml").read_text())
    config["sphinx"]["config"]["toc_object_entries"] = False
    (tmp_path / "_config.yml").write_text(yaml.safe_dump(config))
    record = tmp_path / "runs" / "mine" / "notebooks" / "01_preprocess.ipynb"
    record.parent.mkdir(parents=True)
    notebook = json.loads((tmp_path / "book" / f"{CHAPTER}.ipynb").read_text())
    notebook["cells"][0]["source"] = ["# 1 · A title of my own run"]
    notebook["cells"][-1]["outputs"] = [made_by("mine")]
    write_json(record, notebook)
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
    given = (pages / "_sources" / f"{CHAPTER}.ipynb").read_text()
    assert "A title of my own run" in given  # what the button for the notebook gives
    assert "From your run <code" in (pages / "intro.html").read_text()
    assert "not of your run" in (pages / "walkthrough/02_train_vqvae.html").read_text()
    results = (pages / "results.html").read_text()
    assert 'href="cite.html">How to cite' in results  # the foot of every page
    assert results.count("paper 0.073") == 1  # of Table 1
    assert "data:image/png" in (pages / "intro.html").read_text()  # thumbnails
    for page in pages.rglob("*.html"):
        text = page.read_text()
        assert 'src="http' not in text and 'rel="stylesheet" href="http' not in text
        assert "THEBE_JS_URL" not in text  # it was declared twice on every page
    assert broken_links(pages) == []


def broken_links(pages):
    """Links of a built book that lead to no file, or to no place in a page."""
    texts = {page.resolve(): page.read_text() for page in pages.rglob("*.html")}
    ids = {
        page: set(map(html.unescape, re.findall(r'\bid="([^"]+)"', text)))
        for page, text in texts.items()
    }
    broken = []
    for page, text in texts.items():
        for link in map(html.unescape, re.findall(r'href="([^"]+)"', text)):
            if re.match(r"[a-z]+:|{{", link):
                continue
            name, _, anchor = unquote(link).partition("#")
            target = (page.parent / name.partition("?")[0]).resolve() if name else page
            known = ids.get(target, set())
            if not target.is_file() or (anchor and anchor not in known):
                broken.append((page.name, link))
    return broken
