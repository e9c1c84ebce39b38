"""One word for one thing, and plain English: words that the project does not use.

`make lint` runs this file.  What to write instead stands beside each word.
"""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY = sorted((ROOT / "skfm_lib").rglob("*.py"))
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "book").glob("*.md"))]

# In every text: docstrings, comments, messages, notebooks, pages.
PHRASES = {
    r"\bjudg(e|es|ed|ing|ement)\b": "evaluate, compare, classify",
    r"\bverdicts?\b": "result, outcome, conclusion",
    r"\bpersuasion\b": "generator loss",
    r"\bmisled\b": "misconditioned",
    r"\bmend(s|ed|ing)?\b": "fix",
    r"\blest\b": "so that … not",
    r"goes without saying|go without saying": "is omitted",
    r"\bby heart\b": "memorised",
    r"\bnobody\b": "no one, none; say what is missing",
    r"\bnods? to\b": "tilts",
    r"\bhangs? on\b": "depends on",
    r"\bmade again\b": "regenerated",
    r"\bsuffers?\b": "is corrupted by",
    r"says nothing yet": "zero-initialised",
    r"private for a poor reason": "say what is measured",
    r"codes are no parameters": "the codebook is not trained by gradients",
    r"\byours to\b": "that you can",
    r"\bon the mean\b": "on average",
    r"goes farther is the network": "say what is compared",
    r"what is drawn is kept": "samples are kept",
    r"takes more than ours": "say which is slower",
}

# In names of modules, functions, classes, arguments and variables of the library.
NAMES = {
    "judge judges judged judging": "evaluate, compare, score_classifier, vqgan_losses",
    "verdict verdicts": "result, outcome",
    "cell cells": "experiment, setting, block",
    "place places placed placement": "to_device, register, pose, coordinates",
    "dice": "rng (the metric is `dice`)",
    "persuasion": "generator_loss",
    "misled": "misconditioned",
    "material": "data_stage, skull_pool",
    "laid lay": "shape_fit, fit",
    "guard": "sandbox",
    "working": "job_pool",
    "derive derived": "augmentation",
    "descent": "optimizer",
    "responses": "metric_sanity",
    "drawing showing": "sampling, tables",
    "again remade": "checkpoint_if, recomputed",
    "persuade mend news": "a plain word",
}
METRIC = re.compile(r"(worst_)?dice$")  # Dice's overlap
NOTEBOOKS_READ = tuple(  # their cells
    f"skfm_lib/study/{name}.py"
    for name in ("book", "captions", "chapters", "parameters", "record_contents")
    + ("records", "rendering")
)


@cache
def texts() -> list[tuple[str, str]]:
    """(where, line) of all that is read."""
    return list(_texts())


def _texts() -> Iterator[tuple[str, str]]:
    for path in [*LIBRARY, *PAGES]:
        lines = path.read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            yield f"{path.relative_to(ROOT)}:{number}", line
    for path in NOTEBOOKS:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        for number, cell in enumerate(cells):
            for line in "".join(cell["source"]).splitlines():
                yield f"{path.relative_to(ROOT)} cell {number}", line


@cache
def names() -> list[tuple[str, str, set[str]]]:
    """(where, name, its words) of what the library's modules define."""
    found = (pair for path in LIBRARY for pair in names_in(path))
    return [(where, name, words_of(name)) for where, name in found]


def names_in(path: Path) -> Iterator[tuple[str, str]]:
    where = str(path.relative_to(ROOT))
    yield where, path.stem
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield f"{where}:{node.lineno}", node.name
        elif isinstance(node, ast.arg):
            yield f"{where}:{node.lineno}", node.arg
        elif isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield f"{where}:{node.lineno}", node.id


def words_of(name: str) -> set[str]:
    """The words of a name in snake_case or CamelCase, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


@pytest.mark.parametrize("phrase", PHRASES)
def test_prose_is_plain(phrase):
    pattern = re.compile(phrase, re.IGNORECASE)
    found = [
        f"{where}: {line.strip()}" for where, line in texts() if pattern.search(line)
    ]
    assert not found, f"say instead: {PHRASES[phrase]}\n" + "\n".join(found)


@pytest.mark.parametrize("words", NAMES)
def test_names_use_one_word_for_one_thing(words):
    found = [
        f"{where}: {name}"
        for where, name, own in names()
        if own & set(words.split()) and not METRIC.match(name)
        if "cell" not in words or not where.startswith(NOTEBOOKS_READ)
    ]
    assert not found, f"say instead: {NAMES[words]}\n" + "\n".join(found)


def test_words_of_a_name():
    assert words_of("ScoreNet_cells2") == {"score", "net", "cells"}
    assert words_of("VQVAELoss") == {"vqvae", "loss"}
