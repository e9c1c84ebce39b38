"""The page of results: every number of the paper, and sentences that are true."""

import importlib
import re
from functools import reduce
from pathlib import Path

import architecture_figure
import findings
import paper_beside
import pytest
import reading
import results
import shown

from skfm_lib.presets import paper_tables
from skfm_lib.study.record_contents import Contents

BOOK = Path(__file__).parents[1] / "book"
CLAIMS = {
    "OTFM is better than DDPM alone": "confirmed",
    "25% OTFM helps 50% real": "undecided: one seed",
    "and helps 50% real more": "refuted",
}


def record(table="", rows=None, caption="", **values):
    """The contents of a chapter with one table."""
    tables, captions = ({table: rows}, {table: caption}) if table else ({}, {})
    return Contents(values, tables, captions, {}, "", {})


def leaves(table):
    """All numbers of a table of the paper; of Table 9 as percentages."""
    values = table.values() if isinstance(table, dict) else table
    for value in values:
        if isinstance(value, dict):
            yield from leaves(value)
        else:
            yield value


@pytest.mark.parametrize("number", paper_beside.TABLES)
def test_every_number_of_the_paper_has_its_entry(number):
    numbers = list(paper_beside.TABLES[number](lambda chapter: record()))
    theirs = [n.paper for n in numbers if n.paper != ""]
    wanted = list(leaves(getattr(paper_tables, f"TABLE_{number}")))
    if number in (5, 6):  # triples
        wanted = [one for triple in wanted for one in triple]
    elif number == 9:
        wanted = [f"{100 * share:.3g} %" for share in wanted]
    elif number in (7, 10):
        wanted = [paper_beside.printed(value) for value in wanted]
    assert sorted(map(str, theirs)) == sorted(map(str, wanted))
    assert len({(n.row, n.column) for n in numbers}) == len(numbers)
    assert number in results.READINGS


def test_the_page_has_every_table_and_the_map_every_part_of_the_paper():
    page = (BOOK / "results.md").read_text("utf-8")
    named = re.findall(r"^```\{paper-table\} (\d+)$", page, re.MULTILINE)
    assert [int(n) for n in named] == list(range(1, 12)) == list(paper_beside.TABLES)
    rows = (BOOK / "paper_map.md").read_text("utf-8")
    parts = [f"eq. ({n})" for n in range(1, 5)] + [f"Table {n}" for n in range(1, 12)]
    parts += ["Fig. 1", "Fig. 2a", "Fig. 2b", "Fig. 3", "Fig. 4a", "Fig. 4b"]
    assert [
        p
        for p in parts
        if not re.search(rf"^\| {re.escape(p)}\b", rows, re.M)
        and not rows.count(f"| {p},")
    ] == []


def test_preset_paper_has_the_papers_settings():
    for number in (7, 10):
        assert "has {0} of the paper's {0} values".format(
            len(getattr(paper_tables, f"TABLE_{number}"))
        ) in reading.settings(number, lambda chapter: record())


def test_numbers_of_the_record_stand_beside_those_of_the_paper():
    rows = {"100% OTFM": {"mm": "6.5 (6–7)", "paper: mm": "7.31"}}
    read = lambda chapter: record("tab-aligner-models", rows)  # noqa: E731
    text = paper_beside.as_markdown(paper_beside.TABLES[2](read))
    head, _, first, *_ = text.splitlines()
    assert head == "|  | DDPM | OTFM |"
    assert first == (
        "| 100% synth | –<br><i>paper 8.11</i> "
        "| **6.5**<br><i>(6–7)</i><br><i>paper 7.31</i> |"
    )


@pytest.mark.parametrize(
    ("text", "value", "interval"),
    [
        ("7.7 (5.96–9.94)", 7.7, "(5.96–9.94)"),
        ("**7.7**<br>(6 to 9)", 7.7, "(6 to 9)"),
        ("−0.5 (-1 to 0)", -0.5, "(-1 to 0)"),
        ("2.24e+04 (1–2)", 22400, "(1–2)"),
        ("12 %", 12, ""),
        ("", None, ""),
        ("none", None, ""),
    ],
)
def test_printed_values_are_read(text, value, interval):
    assert shown.number_of(text) == value and shown.parts(text)[1] == interval


def test_refuted_claims_come_first_and_are_whole_sentences():
    found = {"better by, mm": "1", "power": "80%"}
    rows = {text: {**found, "conclusion": word} for text, word in CLAIMS.items()}
    found = reading.claims(record("tab-aligner-claims", rows), "08")
    first, second, third = reading.in_order(found)
    assert first.text == "25% OTFM helps 50% real, and helps 50% real more"
    assert (second.conclusion, third.conclusion) == ("confirmed", "undecided: one seed")
    assert reading.tally(found) == "1 refuted, 1 confirmed and 1 undecided"


def test_the_better_model_is_compared_with_the_papers():
    metrics = paper_tables.TABLE_1["ref"]
    rows = {m: {"this run": "OTFM", "paper": "OTFM"} for m in metrics}
    rows["PR ↑"], rows["IR ↑"] = (
        {"this run": one, "paper": "DDPM"} for one in ("OTFM", "undecided")
    )
    text = reading.better_model(record("tab-better-model", rows))
    assert "DDPM by none; undecided by IR." in text
    assert text.endswith("not as in the paper by PR.")
    assert "does not test" in reading.better_model(record())


@pytest.mark.parametrize(("otfm", "word"), [("5", "fewer than"), ("30", "more than")])
def test_failures_are_compared(otfm, word):
    kinds = ("failed generations", "conditioning errors")
    shares = {"OTFM": otfm, "DDPM": "20", "held out": "2"}
    rows = {name: dict.fromkeys(kinds, f"{x} % (1–9)") for name, x in shares.items()}
    text = reading.failures(record("tab-failures", rows))
    assert text.count(f"{word} those of DDPM") == 2 and "false alarms 2 %" in text


def test_findings_of_a_run_without_results_say_so():
    text = findings.findings(lambda chapter: record())
    assert text.count("not in the record") > 5 and "run `unknown`" in text


def test_findings_have_the_cost_and_the_copies():
    sampled = record("tab-generation", {}, "ours, 16 euler steps")
    assert "16 steps" in findings.cost(lambda chapter: sampled)
    rows = {
        "voxels: ours": {"copies": "0 % (0–2)"},
        "voxels: test": {"copies": "4 % (2–8)"},
    }
    text = findings.copies(lambda chapter: record("tab-privacy", rows))
    assert "by voxels 0 % (0–2), of unseen skulls 4 %." in text


def test_functions_of_the_figure_exist_and_are_documented():
    for _, _, _, name in architecture_figure.BOXES.values():
        if not name:
            continue
        names = f"skfm_lib.{name}".split(".")
        pages = (BOOK / "api").glob(f"{names[1]}*.md")
        page = "\n".join(path.read_text("utf-8") for path in pages)
        module = next(
            ".".join(names[:n])
            for n in range(len(names), 1, -1)
            if f"automodule:: {'.'.join(names[:n])}\n" in page
        )
        rest = names[module.count(".") + 1 :]
        assert reduce(getattr, rest, importlib.import_module(module))


@pytest.mark.parametrize(
    ("number", "text"),
    [(2, "*OTFM is better"), (3, "*25% OTFM helps"), (4, "does not test")],
)
def test_claims_stand_below_the_table_that_they_are_about(number, text):
    rows = {text: {"conclusion": word} for text, word in CLAIMS.items()}
    rows["OTFM is better than DDPM beside 50% real"] = {"conclusion": "undecided"}
    assert text in reading.about(record("tab-aligner-claims", rows), "08", number)
