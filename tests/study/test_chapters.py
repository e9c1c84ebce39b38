"""The book shows first what a chapter found last."""

import nbformat

from skfm_lib.study.chapters import TAKEAWAY, takeaway_first
from skfm_lib.view import tables


def output_of(shown):
    """What a kernel makes of Markdown that it displays."""
    data, about = shown._repr_markdown_()
    return {
        "output_type": "display_data",
        "data": {"text/markdown": data},
        "metadata": {"text/markdown": about},
    }


def plain(text):
    data = {"text/plain": text}
    return {"output_type": "display_data", "data": data, "metadata": {}}


def chapter(*outputs):
    cells = [
        nbformat.v4.new_markdown_cell("# A title\n\nIts lead."),
        nbformat.v4.new_code_cell("x = 1", outputs=list(outputs)),
        nbformat.v4.new_code_cell("y = 1", outputs=[plain("Training  5/5 · 3 s")]),
    ]
    return nbformat.v4.new_notebook(cells=cells)


def test_the_takeaway_stands_below_the_title_and_nowhere_else():
    shown = tables.takeaway("Half of 12 fail.", "None is a copy.")
    assert "> - Half of 12 fail." in shown.data
    found = takeaway_first(chapter(plain("result"), output_of(shown)))
    title, box, lead, code, _ = found["cells"]
    assert title["source"] == "# A title" and lead["source"] == "Its lead."
    assert box["source"].startswith(":::{admonition} In short")
    assert "- Half of 12 fail.\n- None is a copy.\n:::" in box["source"]
    assert code["outputs"] == [plain("result")]
    assert TAKEAWAY not in str(found)


def test_a_chapter_without_a_takeaway_stays():
    given = chapter(plain("result"))
    assert takeaway_first(given)["cells"] == given["cells"]


def test_progress_is_shown_only_where_there_is_nothing_else():
    found = takeaway_first(chapter(plain("Shapes  7/7 · 1 min 09 s"), plain("'text'")))
    _, mixed, alone = found["cells"]
    assert mixed["outputs"] == [plain("'text'")]
    assert alone["outputs"] == [plain("Training  5/5 · 3 s")]
