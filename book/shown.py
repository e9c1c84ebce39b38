"""The chapters that the book shows, and how its pages print what they hold."""

import re
from functools import cache
from pathlib import Path

from skfm_lib.study import book
from skfm_lib.study.book import CHAPTERS
from skfm_lib.study.record_contents import Contents, read_contents
from skfm_lib.study.records import Record

BOOK = Path(__file__).parent
FILES = BOOK.glob(f"{CHAPTERS}[0-9][0-9]_*.ipynb")
NAMES = {path.stem[:2]: path.stem for path in FILES}  # "06" → 06_metrics


def shown(number: str) -> Contents:
    """The chapter called ``06`` of the run that the book shows, else `committed`."""
    record = _records().get(NAMES[number])
    return _read(record.path) if record else committed(number)


def committed(number: str) -> Contents:
    """The record of the chapter called ``06`` that came with the book."""
    return _read(BOOK / CHAPTERS / f"{NAMES[number]}.ipynb")


@cache
def _records() -> dict[str, Record]:
    return book.shown().records


@cache
def _read(path: Path) -> Contents:
    return read_contents(path)


def parts(text: str) -> tuple[str, str]:
    """A printed value and its interval; either may be ""."""
    value, bracket, rest = re.sub(r"<br/?>|\*\*", " ", text).partition("(")
    return value.strip(), f"{bracket}{rest}".strip()


def number_of(text: str) -> float | None:
    """The number with which a printed value begins; None where there is none."""
    found = re.match(r"[-−]?[\d.]+(e[-+]?\d+)?", parts(text)[0])
    return float(found[0].replace("−", "-")) if found else None


def listed(words: list[str]) -> str:
    """Words as in a sentence: "a, b and c"; "none" where there are none."""
    *most, last = words or ["none"]
    return f"{', '.join(most)} and {last}" if most else last
