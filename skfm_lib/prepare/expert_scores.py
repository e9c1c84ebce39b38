"""A data set's ``labels.csv``: scores proposed by the program, corrected by an expert.

Columns: name, quality (the expert's, empty until there is one), proposed, reason.
"""

import csv
from pathlib import Path

from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

COLUMNS = ["name", "quality", "proposed", "reason"]
DISCARD = 0  # an expert's word for: leave this skull out


def read_scores(out: Path) -> dict[str, int]:
    """Name → the expert's score 2–6, or 0 to leave the skull out.

    {} where there is no table yet.  SkfmError, naming the line, for other columns,
    another quality, or a name twice.
    """
    scores = {}
    for line, row in _rows(out):
        where, quality = f"{_path(out)} line {line}", (row["quality"] or "").strip()
        if row["name"] in scores:
            raise SkfmError(f"{where}: a skull twice", "one line each", "remove one")
        if quality not in ("", *map(str, (DISCARD, *QUALITY_SCORES))):
            expected = f"2–6, or {DISCARD} to leave the skull out"
            raise SkfmError(f"{where}: quality {quality!r}", expected, "mend the line")
        if quality:
            scores[row["name"]] = int(quality)
    return scores


def write_scores(out: Path, proposals: dict[str, tuple[int | None, str]]) -> None:
    """Write name → (proposed score or None, reason) beside what the expert wrote.

    An expert's score is kept as it is, also of a skull that is no longer there.
    """
    own = read_scores(out)
    missing = [name for name in own if name not in proposals]
    with replacing(_path(out)) as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow(COLUMNS)
            for name, (proposed, reason) in proposals.items():
                writer.writerow([name, own.get(name, ""), proposed or "", reason])
            writer.writerows([name, own[name], "", ""] for name in missing)


def _path(out: Path) -> Path:
    return Path(out) / "labels.csv"


def _rows(out: Path) -> list[tuple[int, dict[str, str]]]:
    if not _path(out).is_file():
        return []
    with _path(out).open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        if not {"name", "quality"} <= set(reader.fieldnames or ()):
            expected = ",".join(COLUMNS) + " in the first line"
            raise SkfmError(f"{_path(out)}: other columns", expected, "mend the table")
        return [(reader.line_num, row) for row in reader if row["name"]]
