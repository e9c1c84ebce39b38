"""Every chapter can be read: a takeaway, what is learned, figures in words."""

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "notebooks").glob("*.ipynb"))
OWN = r"(?<!paper's )(?<!paper’s )(?<!\w)(Table|Tables|Fig\.|Figure) \d"


def cells(path, kind):
    found = json.loads(path.read_text(encoding="utf-8"))["cells"]
    return [cell for cell in found if cell["cell_type"] == kind]


def source(cell):
    return "".join(cell["source"])


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapter_says_what_is_learned_and_what_was_found(path):
    lead = source(cells(path, "markdown")[0])
    assert "**What you will learn**\n\n- " in lead and "*Needs:*" in lead
    code = [source(cell) for cell in cells(path, "code")]
    (takeaway,) = [text for text in code if "tables.takeaway(" in text]
    # Numbers come from results: none of more than one digit is written by hand.
    strings = re.findall(r'"([^"]*)"', re.sub(r"\{[^{}]*\}", "", takeaway))
    typed = [text for text in strings if re.search(r"\d{2,}|\d\.\d", text)]
    assert [text for text in typed if not re.search(r"95 %|AUC, 0\.5", text)] == []


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_parameters_and_imports_are_folded(path):
    for cell in cells(path, "code"):
        tags = cell["metadata"].get("tags", [])
        imports = [x for x in cell["source"] if re.match(r"(from|import) ", x)]
        if "parameters" in tags or len(imports) > 1:
            assert "hide-input" in tags, cell["id"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_every_figure_is_told_in_words(path):
    for cell in cells(path, "code"):
        about = cell["metadata"].get("mystnb", {})
        turns = re.search(r"gallery\.inline|_turning\(", source(cell))
        if "figure" in about and not turns:
            alt = about["image"]["alt"]
            assert len(alt) > 40 and alt != about["figure"]["caption"], cell["id"]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_the_papers_tables_are_called_the_papers(path):
    for cell in cells(path, "markdown"):
        if found := re.search(OWN, source(cell)):
            pytest.fail(f"{cell['id']}: {found[0]}; say the paper's {found[0]}")
