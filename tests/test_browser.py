"""The book in a browser: wide tables, the gallery, on a desk and on a phone.

Skipped where there is no Chromium (Debian: ``apt install chromium``).
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from browser import CHROMIUM, Browser, waited

from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid
from skfm_lib.view.gallery import inline

ROOT = Path(__file__).parents[1]
SHAPE = (29, 22, 32)
WIDTHS = (1300, 390)
TABLES = "walkthrough/07_failures"
GALLERY = "walkthrough/03_train_otfm"  # which has no skulls of its own
SKULLS = 3
VIEW = "document.querySelector('.skfm-skulls .view')"
FULL_WIDTH = "document.scrollingElement.scrollWidth"
PAGES = {"front": "intro", "tables": TABLES, "gallery": GALLERY}

pytestmark = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium")


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """A small book: front page, a chapter with wide tables, one with viewers."""
    folder = tmp_path_factory.mktemp("book")
    for name in ("book", "_config.yml", "pyproject.toml", "notebooks"):
        source = ROOT / name
        copy = shutil.copytree if source.is_dir() else shutil.copy
        copy(source, folder / name)
    parts = [{"chapters": [{"file": TABLES}, {"file": GALLERY}]}]
    toc = {"format": "jb-book", "root": "intro", "parts": parts}
    (folder / "book" / "_toc.yml").write_text(yaml.safe_dump(toc))
    add_viewers(folder / "book" / f"{GALLERY}.ipynb")
    command = [Path(sys.executable).with_name("jupyter-book"), "build", "book", "-q"]
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "SKFM_RUN": "committed"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return folder / "_build" / "html"


def add_viewers(path):
    """Two groups of skulls, as outputs of a chapter's last cell."""
    grid = skull_grid(SHAPE)
    skulls = {f"QS {q}": phantom_skull(q, q, SHAPE) for q in (4, 5, 6)[:SKULLS]}
    notebook = json.loads(path.read_text(encoding="utf-8"))
    viewers = [inline(skulls, grid, columns=3), inline(skulls, grid, stage=True)]
    outputs = [
        nbformat.v4.new_output("display_data", {"text/html": viewer._repr_html_()})
        for viewer in viewers
    ]
    cell = nbformat.v4.new_code_cell("gallery.inline(skulls, grid)", outputs=outputs)
    notebook["cells"].append(cell)
    path.write_text(json.dumps(notebook), encoding="utf-8")


@pytest.fixture(scope="module")
def browser():
    with Browser() as found:
        yield found


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("page", PAGES)
def test_a_page_fits_and_is_quiet(browser, built, page, width):
    browser.errors.clear()
    browser.requests.clear()
    browser.open((built / f"{PAGES[page]}.html").as_uri(), width)
    assert browser.run(FULL_WIDTH) <= width
    assert browser.errors == []
    left = [a for a in browser.requests if not a.startswith(("file:", "data:"))]
    assert left == []


@pytest.mark.parametrize("width", WIDTHS)
def test_wide_tables_scroll_in_their_own_box(browser, built, width):
    browser.open((built / f"{TABLES}.html").as_uri(), width)
    beyond = browser.run(
        "[...document.querySelectorAll('.bd-article table')].filter(table => {"
        "  const box = table.parentElement, right = box.getBoundingClientRect().right;"
        "  const scrolls = getComputedStyle(box).overflowX === 'auto';"
        "  return right > document.documentElement.clientWidth + 1"
        "    || (box.scrollWidth > box.clientWidth + 1 && !scrolls); }).length"
    )
    assert beyond == 0


@pytest.mark.parametrize("width", WIDTHS)
def test_skulls_are_drawn_and_turn_together(browser, built, width):
    browser.open((built / f"{GALLERY}.html").as_uri(), width)
    browser.run(f"{VIEW}.scrollIntoView({{block: 'center', behavior: 'instant'}})")
    waited(lambda: browser.run("document.querySelectorAll('.ready').length") >= SKULLS)
    browser.run(f"{VIEW}.focus({{preventScroll: true}})")
    x, y = browser.run(
        f"(r => [r.x + r.width / 2, r.y + r.height / 2])"
        f"({VIEW}.getBoundingClientRect())"
    )
    browser.drag(x, y, 10)  # stops the rotation
    before = pictures(browser)
    assert all(filled > 0.05 for _, filled in before)
    browser.drag(x, y, 60)
    waited(lambda: changed(before, pictures(browser)))
    turned = pictures(browser)
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="ArrowLeft")
    waited(lambda: changed(turned, pictures(browser)))


def pictures(browser):
    """The pixels of the first group's canvases, and the share that is drawn."""
    return browser.run(
        "[...document.querySelectorAll('.skfm-skulls:not(.stage) canvas')].map(c => {"
        "  const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;"
        "  let filled = 0; for (let i = 3; i < d.length; i += 4) filled += d[i] > 0;"
        "  return [c.toDataURL(), 4 * filled / d.length]; })"
    )


def changed(before, after):
    return all(a[0] != b[0] for a, b in zip(before, after))


def test_on_a_stage_the_chosen_skull_is_large(browser, built):
    browser.open((built / f"{GALLERY}.html").as_uri(), 1300)
    skull = "document.querySelectorAll('.skfm-skulls.stage .skull')"
    large = f"[...{skull}].map(one => one.classList.contains('large'))"
    assert browser.run(large) == [True, False, False]
    browser.run(f"{skull}[1].querySelector('.view').focus()")
    browser.call("Input.dispatchKeyEvent", type="keyDown", key="Enter")
    waited(lambda: browser.run(large) == [False, True, False])
    waited(lambda: browser.run(f"{skull}[1].classList.contains('ready')"))


def test_without_webgl_the_pictures_stay(built):
    with Browser("--disable-gpu", "--disable-3d-apis") as browser:
        browser.open((built / f"{GALLERY}.html").as_uri(), 1300)
        seen = "getComputedStyle(document.querySelector('.skfm-skulls img')).display"
        assert browser.run(seen) != "none"
        assert browser.run("document.querySelectorAll('.ready').length") == 0
        assert browser.errors == []
