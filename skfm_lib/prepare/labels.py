"""Tables of quality scores: the user's for the scans, an expert's for the skulls."""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from skfm_lib.prepare.source import Source
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

DISCARD = 0  # the expert's score for: leave this skull out


class Label(NamedTuple):
    """A user's quality score for a scan, and bone threshold (HU) for it alone."""

    quality: int | None = None
    threshold: float | None = None


def read_labels(
    folder: Path, table: Path | None, sources: list[Source]
) -> dict[str, Label]:
    """Key → the user's label of each source, from a table name,quality[,threshold].

    `table` is ``labels.csv`` in `folder` by default, if it exists.  A scan is named by
    its file or series' folder, with or without parent folders and suffix.  SkfmError,
    without names in its message, if the table is missing or lacks a column, or a line
    has an invalid score or threshold, or names no scan, several, or one named before.
    """
    labels = {source.key: Label() for source in sources}
    path = Path(table or folder / "labels.csv")
    if table is None and not path.is_file():
        return labels
    # The folder may be called after a patient; a table was named by the user.
    for where, row in _rows(path, str(table or "labels.csv of the scans")):
        label = Label(_quality(row, QUALITY_SCORES, where), _threshold(row, where))
        if label == Label():
            remedy = "fix or remove the line"
            raise SkfmError(f"{where}: no quality", "a quality score of 2–6", remedy)
        keys = [source.key for source in sources if row["name"] in source.names]
        if len(keys) != 1:
            found = f"{where}: {len(keys)} scans have that name"
            raise SkfmError(found, "the name of one scan", "fix or remove the line")
        if labels[keys[0]] != Label():
            remedy = "remove one of the lines"
            raise SkfmError(f"{where}: a scan labelled twice", "one line", remedy)
        labels[keys[0]] = label
    return labels


def read_scores(out: Path) -> dict[str, int]:
    """Name → the expert's score 2–6, or DISCARD, from ``labels.csv`` in a data set.

    SkfmError if the table lacks a column, or a line has another score or the name of an
    earlier line.
    """
    scores: dict[str, int] = {}
    path = Path(out) / "labels.csv"
    for where, row in _rows(path, str(path)) if path.is_file() else ():
        quality = _quality(row, (*QUALITY_SCORES, DISCARD), where)
        if quality is None or not row["name"]:
            continue
        if row["name"] in scores:
            raise SkfmError(f"{where}: a skull twice", "one line each", "remove one")
        scores[row["name"]] = quality
    return scores


def write_scores(out: Path, proposals: dict[str, tuple[int | None, str]]) -> None:
    """Write name → (proposed score, reason) beside the scores of the expert.

    The expert's score of a skull that is not in `proposals` is kept too.
    """
    own = read_scores(out)
    with replacing(Path(out) / "labels.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(["name", "quality", "proposed", "reason"])
            for name in dict.fromkeys([*proposals, *own]):
                proposed, reason = proposals.get(name, (None, ""))
                writer.writerow([name, own.get(name, ""), proposed or "", reason])


def _rows(path: Path, name: str) -> Iterator[tuple[str, dict[str, str]]]:
    """`name` and line number of each row of a table, and the row."""
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a table name,quality", "write it")
    try:
        with path.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream, skipinitialspace=True)
            if not {"name", "quality"} <= set(reader.fieldnames or ()):
                expected = "name,quality in the first line"
                raise SkfmError(f"{name}: other columns", expected, "fix the table")
            for row in reader:
                yield f"{name}, line {reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as reason:
        remedy = "save it as CSV in UTF-8, with commas"
        raise SkfmError(f"{name} cannot be read", "a text table", remedy) from reason


def _quality(row: dict[str, str], allowed: tuple[int, ...], where: str) -> int | None:
    text = (row["quality"] or "").strip()
    if text not in ("", *map(str, allowed)):
        expected = "2–6, or 0 to leave the skull out" if 0 in allowed else "2–6"
        raise SkfmError(f"{where}: quality {text!r}", expected, "fix the line")
    return int(text) if text else None


def _threshold(row: dict[str, str], where: str) -> float | None:
    text = row.get("threshold")
    try:
        return float(text) if text else None
    except ValueError as reason:
        found = f"{where}: threshold {text!r}"
        raise SkfmError(found, "HU, such as 250", "fix the line") from reason
