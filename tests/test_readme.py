"""What the README and the book tell a reader to type is there to be typed."""

import csv
import re
import shlex
from pathlib import Path

import findings
import pytest
import shown

from skfm_lib.cli.main import _parser
from skfm_lib.reference_model.package import FOLDER, INDEX
from skfm_lib.study.notebooks import find_notebook

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]
VERBATIM = (
    "make study",
    "make test",
    "papermill notebooks/03_train_otfm.ipynb out.ipynb -p steps 200000",
    "jupyter-book build book",
    "jupyter lab",
    "skfm generate --qs 5 --count 8 --out skulls/",
)


def commands(path: Path) -> list[list[str]]:
    """The words of every command line in a page's bash blocks and inline code."""
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S)
    inline = re.findall(r"`((?:skfm|make|papermill) [^`]+)`", text)
    lines = [line for block in blocks for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in [*lines, *inline]]
    words = [[w for w in line if not re.match(r"\w+=", w)] for line in words]
    return [[Path(line[0]).name, *line[1:]] for line in words if line]


def check(words: list[str]) -> None:
    """Fail unless the command, its options and the files it names exist."""
    if ">" in words:
        words = words[: words.index(">")]
    tool, *rest = words
    if tool == "skfm" and "COMMAND" not in rest and "--help" not in rest:
        options = _parser().parse_args(rest)
        if options.do.__name__ == "run":
            for number in options.notebooks:
                check_parameters(find_notebook(number), options.parameters)
    elif tool == "make":
        targets = (ROOT / "Makefile").read_text(encoding="utf-8")
        assert all(re.search(rf"^{t}:", targets, re.M) for t in rest), words
    elif tool == "papermill":
        (notebook,) = [ROOT / w for w in rest if w.startswith("notebooks/")]
        at = [i for i, word in enumerate(rest) if word == "-p"]
        check_parameters(notebook, [rest[i + 1 : i + 3] for i in at])


def check_parameters(notebook: Path, given: list[list[str]]) -> None:
    """Fail unless the notebook has the parameters that a command gives."""
    text = notebook.read_text(encoding="utf-8")
    for name, _ in given:
        assert re.search(rf'"{name}: ', text), f"{notebook.name} has no {name}"


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_commands_exist(path):
    for words in commands(path):
        try:
            check(words)
        except SystemExit:
            pytest.fail(f"skfm does not take: {' '.join(words)}")


def test_readme_shows_the_commands_verbatim():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert [c for c in VERBATIM if c not in text] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_python_blocks_run(path, tmp_path, monkeypatch, request):
    monkeypatch.chdir(tmp_path)
    text = path.read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert blocks or path.name != "README.md", "the README has no Python block"
    if not (FOLDER / INDEX).is_file():  # an untrained model stands for the packed one
        request.getfixturevalue("packed")
    for block in blocks:
        exec(compile(block, path.name, "exec"), {})


@pytest.mark.parametrize("path", PAGES, ids=lambda p: p.name)
def test_links_between_pages_lead_somewhere(path):
    text = path.read_text(encoding="utf-8")
    notebooks = {p.stem for p in (ROOT / "notebooks").glob("*.ipynb")}
    targets = re.findall(r"\]\(([\w./-]+)\)", text) + re.findall(
        r":link: ([\w./-]+)", text
    )
    labels = re.findall(r"^\(([\w-]+)\)=", "".join(p.read_text() for p in PAGES), re.M)
    for target in targets:
        if target in labels or Path(target).stem in notebooks:
            continue
        file = path.parent / target
        assert file.is_file() or file.with_suffix(".md").is_file(), target


def test_the_last_row_of_time_to_skull_is_that_of_the_records():
    path = ROOT / "book" / "time_to_skull.csv"
    with path.open(newline="", encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    last, metrics, failures = rows[-1], shown.committed("06"), shown.committed("07")
    assert last["model"] == "ours"
    assert last["FID"] == f"{metrics.values['fid-ours']:.1f}"
    assert last["FID of real skulls"] == f"{metrics.values['fid-ref']:.1f}"
    assert last["failed"] == f"{100 * failures.values['failed-ours']:.1f} %"
    alarms = 100 * failures.values["failed-held-out"]
    assert last["false alarms"] == f"{alarms:.1f} %"
    for column, metric in (("IR", "IR ↑"), ("PR", "PR ↑")):
        text = metrics.entry("tab-generation", metric, "ours")
        assert last[column] == shown.parts(text)[0]
    assert [row["date"] for row in rows] == sorted(row["date"] for row in rows)
    assert all(re.fullmatch("[0-9a-f]{7}", row["commit"]) for row in rows)


def test_the_results_in_the_readme_are_those_of_the_records():
    text = findings.README.read_text("utf-8")
    assert findings.BLOCK.search(text)[0].strip()
    assert text == findings.in_readme(text), "next: python book/findings.py"


def test_pages_tell_the_tool_s_own_result_on_the_test_head():
    record = ROOT / "book/walkthrough/15_patient.ipynb"
    uncertain = "UNCERTAIN" in record.read_text("utf-8")
    passages = {
        "README.md": r"^\| 15 \|.*$",
        "book/intro.md": r":link: walkthrough/15_patient\n(?:.+\n)+?:::",
        "book/howto.md": r"Chapter 15 shows both commands(?:.|\n)+?\n\n",
    }
    for page, pattern in passages.items():
        found = re.findall(pattern, (ROOT / page).read_text("utf-8"), re.M)
        assert len(found) == 1 and ("uncertain" in found[0]) == uncertain, page
