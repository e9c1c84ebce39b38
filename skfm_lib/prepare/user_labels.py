"""A user's table of scans: their quality scores, and a threshold where one needs it."""

import csv
from dataclasses import dataclass
from pathlib import Path

from skfm_lib.prepare.discovery import Source
from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError


@dataclass(frozen=True)
class Label:
    """What a table says of a scan.

    quality    score 2–6, or None
    threshold  HU of bone for this scan alone, or None
    """

    quality: int | None = None
    threshold: float | None = None


def read_labels(
    folder: Path, table: Path | None, sources: list[Source]
) -> dict[str, Label]:
    """Key → label, from `table` or ``labels.csv`` in `folder`.

    The table has the columns name (see `Source.names`), quality, and perhaps
    threshold.  Without a table nothing is labelled.  SkfmError, which quotes no name,
    for a missing or unreadable table, a quality other than 2–6, a threshold that is no
    number, a scan twice, or a name of no scan or of several.
    """
    path = Path(table or folder / "labels.csv")
    if table is None and not path.exists():
        return {}
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a table name,quality", "write it")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        if not {"name", "quality"} <= set(reader.fieldnames or ()):
            expected = "name,quality in the first line"
            raise SkfmError(f"{path}: other columns", expected, "mend the table")
        labels: dict[str, Label] = {}
        for row in reader:
            where = f"{path} line {reader.line_num}"
            source = _named(row["name"] or "", sources, where)
            if source.key in labels:
                remedy = "remove one of the lines"
                raise SkfmError(f"{where}: a scan labelled twice", "one line", remedy)
            labels[source.key] = _label(row, where)
    return labels


def _named(name: str, sources: list[Source], where: str) -> Source:
    fitting = [source for source in sources if name in source.names]
    if len(fitting) != 1:
        found = f"{where}: {len(fitting)} scans have that name"
        raise SkfmError(found, "the name of one scan", "mend or remove the line")
    return fitting[0]


def _label(row: dict[str, str], where: str) -> Label:
    quality, threshold = row["quality"], row.get("threshold")
    if quality not in map(str, QUALITY_SCORES) and (quality or not threshold):
        found = f"{where}: quality {quality!r}"
        raise SkfmError(found, "a quality score of 2–6", "mend the line")
    try:
        limit = float(threshold) if threshold else None
    except ValueError as reason:
        found = f"{where}: threshold {threshold!r}"
        raise SkfmError(found, "Hounsfield units, such as 250", "mend it") from reason
    return Label(int(quality) if quality else None, limit)
