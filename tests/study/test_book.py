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
NONE = book.Shown("", {}, {})


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
    executed = {"outputs": list(outputs), "execution_count": 1 if outputs else None}
    cells = [
        nbformat.v4.new_markdown_cell(f"# {text}"),
        nbformat.v4.new_code_cell("made_by(stage)", **executed),
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
    assert book.shown() == NONE
    assert book.sources_note(NONE) == "" == book.chapter_note("01_preprocess", NONE)


def test_the_run_of_the_latest_record_is_shown(run):
    assert {k: r.run for k, r in book.shown().records.items()} == {CHAPTER[12:]: "mine"}
    write_record(run / "runs/other/notebooks/02_x.ipynb", made_by("other"), age=90)
    assert set(book.shown().records) == {"01_preprocess"}
    write_record(run / "runs/other/notebooks/02_x.ipynb", made_by("other"), age=10)
    assert set(book.shown().records) == {"02_x"}


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
    assert book.shown().records["03_train_otfm"].path == run / path


@pytest.mark.parametrize("name", ["01_preprocess-Copy1", "01_preprocess.nbconvert"])
def test_copies_of_a_chapter_are_not_chapters(run, name):
    write_record(run / "notebooks" / f"{name}.ipynb", made_by("mine"))
    assert set(book.shown().records) == {"01_preprocess"}


def test_what_ended_in_an_error_or_was_not_run_to_its_end_is_no_chapter(run):
    error = nbformat.v4.new_output(
        "error", ename="SkfmError", evalue="no", traceback=[]
    )
    write_record(run / "out.ipynb", made_by("mine"), error, ran="x/01_preprocess.ipynb")
    write_record(run / "notebooks/01_preprocess.ipynb")
    (run / "broken.ipynb").write_text("{")
    (record,) = book.shown().records.values()
    assert record.path.parent.parent.name == "mine"


FAILED = nbformat.v4.new_output(
    "error", ename="SkfmError", evalue="steps 'abc'\nmore", traceback=["line"]
)


@pytest.mark.parametrize(
    ("path", "ran"),
    [
        ("runs/mine/notebooks/01_preprocess.failed.ipynb", "n/01_preprocess.ipynb"),
        ("out.ipynb", "notebooks/01_preprocess.ipynb"),
        ("notebooks/01_preprocess.ipynb", None),
    ],
)
def test_a_failed_chapter_is_named_above_the_record_that_is_shown(run, path, ran):
    write_record(run / path, FAILED, ran=ran)
    found = book.shown()
    assert found.records["01_preprocess"].path.parent.parent.name == "mine"
    assert "Executed, but not shown: 1;" in book.sources_note(found)
    note = book.chapter_note("01_preprocess", found)
    assert f"`{path}`" in note and "ended in an error: SkfmError: steps 'abc'`" in note
    with pytest.raises(SkfmError, match="ended in an error"):
        book.publish()


def test_what_failed_before_the_record_was_made_is_forgotten(run):
    ran = "notebooks/01_preprocess.ipynb"
    write_record(run / "out.ipynb", FAILED, ran=ran, age=90)
    assert book.shown().unfinished == {}


def test_a_first_run_that_failed_leaves_the_committed_records(project, monkeypatch):
    monkeypatch.delenv("SKFM_RUN", raising=False)
    path = project / "runs/mine/notebooks/02_train_vqvae.failed.ipynb"
    write_record(path, FAILED)
    found = book.shown()
    assert found.records == {} and found.unfinished["02_train_vqvae"].run == "mine"
    source = json.dumps({"cells": [{"cell_type": "markdown", "source": "# Committed"}]})
    page = book._page("walkthrough/02_train_vqvae", source, found)
    assert "# Committed" in page and "SkfmError: steps" in page and "line" not in page
    assert "not shown: 2;" in book._page("intro", "# Title\ntext", found)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"cells": 3}', '{"cells": [{}]}'])
def test_a_damaged_record_is_said_and_not_shown(run, content):
    path = run / "runs/mine/notebooks/03_train_otfm.ipynb"
    path.write_text(content)
    found = book.shown()
    assert set(found.records) == {"01_preprocess"}
    assert found.unfinished["03_train_otfm"].why.startswith("cannot be read")


def test_a_notebook_that_was_run_in_part_is_no_record(run):
    path = run / "notebooks/01_preprocess.ipynb"
    write_record(path, made_by("mine"))
    notebook = nbformat.read(path, as_version=4)
    notebook.cells.insert(1, nbformat.v4.new_code_cell("left = 'out'"))
    nbformat.write(notebook, path)
    found = book.shown()
    assert found.unfinished["01_preprocess"].why == "was not run to its end"
    assert found.records["01_preprocess"].path != path


def test_a_chosen_run_without_records_is_said(run, monkeypatch):
    monkeypatch.setenv("SKFM_RUN", "typo")
    found = book.shown()
    assert "`typo` has no chapter that ended well" in book.sources_note(found)
    assert "not of your run" in book.chapter_note("01_preprocess", found)


def test_a_committed_record_has_the_text_of_today_or_says_it_is_older(run):
    written = run / "notebooks/02_train_vqvae.ipynb"
    write_record(written, text="Today")
    record = run / "committed.ipynb"
    write_record(record, made_by("reference"), text="Then")
    page = book._page("walkthrough/02_train_vqvae", record.read_text(), NONE)
    assert "# Today" in page and "# Then" not in page and "Made by" in page
    assert "earlier version" not in page
    written.write_text(written.read_text().replace("made_by(stage)", "other()"))
    page = book._page("walkthrough/02_train_vqvae", record.read_text(), NONE)
    assert "# Then" in page and "earlier version of the chapter's notebook" in page


def test_the_environment_chooses_another_run(run, monkeypatch):
    write_record(run / "runs/other/notebooks/02_x.ipynb", made_by("other"))
    monkeypatch.setenv("SKFM_RUN", "mine")
    assert set(book.shown().records) == {"01_preprocess"}
    monkeypatch.setenv("SKFM_RUN", "committed")
    assert book.shown() == NONE


def test_the_book_says_where_its_chapters_are_from_and_which_are_stale(run):
    found = book.shown()
    note = book.sources_note(found)
    assert "From your run `mine`: 1." in note and "Stale" not in note
    assert book.chapter_note("01_preprocess", found) == ""
    assert "not of your run" in book.chapter_note("02_train_vqvae", found)
    open_study("mine", "tiny").stage("01_preprocess", {"other": 1}).finish()
    found = book.shown()
    assert "Stale, the run has changed since: 1." in book.sources_note(found)
    assert "stale" in book.chapter_note("01_preprocess", found)
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
    for number, kind in (("6.1", "Table"), ("7.4", "Fig.")):
        (page,) = pages.glob(f"walkthrough/0{number[0]}_*.html")
        assert f"{kind} {number} " in page.read_text()
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
