"""A data set on disk: ``manifest.csv``, one row per skull, and ``volumes/``.

``settings.json`` states how the volumes were made, so that two different data sets
are never mixed in one folder.
"""

import csv
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, replacing, write_json

NUMBER = re.compile(r"\d+(\.\d+)?")
SPLITS = ("train", "test", "validation", "unlabelled")  # in the order of their seeds
VARIATION_OF = "derived from"  # begins the source of a variation (`skfm prepare`)
REMEDY = "make the data set: `skfm run 01` (phantoms) or `skfm prepare FOLDER` (scans)"


@dataclass(frozen=True)
class Skull:
    """One row of the manifest.

    Attributes:
        quality: Score 2–6, or None in split "unlabelled".
        file: The volume, relative to the data set's folder.
        source: How it was made: ``phantom seed 17`` or ``scan of`` a patient's code.
        spacing: Edge length of a voxel, mm.
        checks: ``ok``, or what is unusual, such as ``touches lower border``.
    """

    name: str
    split: str
    quality: int | None
    file: str
    source: str
    spacing: float
    checks: str = "ok"


COLUMNS = [field.name for field in fields(Skull)]


def read_manifest(folder: Path) -> list[Skull]:
    """The skulls of a data set, in the order of its manifest.

    Further columns (`write_manifest`) are not read.

    Raises:
        SkfmError: if there is no manifest, or for a row with an invalid quality, split
            or spacing, a duplicate name or a missing volume.
    """
    path = Path(folder) / "manifest.csv"
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a data set there", REMEDY)
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if list(reader.fieldnames or [])[: len(COLUMNS)] != COLUMNS:
            found = f"{path}: columns {reader.fieldnames}"
            raise SkfmError(found, ",".join(COLUMNS), REMEDY)
        skulls = [_skull(path, row, reader.line_num) for row in reader]
    twice = [name for name, n in Counter(s.name for s in skulls).items() if n > 1]
    if twice:
        found = f"{path}: {', '.join(twice)} listed twice"
        raise SkfmError(found, "unique names", "rename or remove one of the rows")
    return skulls


def write_manifest(
    folder: Path,
    skulls: list[Skull],
    more: Mapping[str, Sequence[object]] | None = None,
) -> None:
    """Write ``manifest.csv`` atomically, with `more` columns behind those of `Skull`.

    SkfmError if it cannot be written.
    """
    columns = more or {}
    with replacing(Path(folder) / "manifest.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.writer(stream)
            writer.writerow([*COLUMNS, *columns])
            for skull, *values in zip(skulls, *columns.values(), strict=True):
                writer.writerow([*vars(skull).values(), *values])


def claim(folder: Path, settings: dict[str, object]) -> None:
    """Mark `folder` as the data set made with `settings`, new or to be resumed.

    SkfmError if it holds a data set made with other settings or with unknown ones.
    """
    path = Path(folder) / "settings.json"
    if path.is_file():
        old, new = read_json(path), json.loads(json.dumps(settings))
        differing = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
        if not differing:
            return
        found = f"{folder} holds another data set: " + ", ".join(
            f"{k} is {_shown(old, k)} there, {_shown(new, k)} here" for k in differing
        )
    elif (Path(folder) / "manifest.csv").exists():
        found = f"{folder} holds a data set of unknown settings"
    else:
        write_json(path, settings)
        return
    raise SkfmError(found, "a new folder", "name another folder or remove this one")


def _shown(settings: dict[str, object], key: str) -> str:
    return "not set" if settings.get(key) is None else repr(settings[key])


def proportional(counts: dict[int, int], total: int) -> dict[int, int]:
    """Divide `total` in proportion to `counts`, integers by largest remainder.

    >>> proportional({2: 167, 3: 212, 4: 154}, 10)
    {2: 3, 3: 4, 4: 3}
    """
    classes = sorted(counts)
    exact = np.array([counts[c] for c in classes], float)
    exact *= total / max(exact.sum(), 1)
    shares = np.floor(exact).astype(int)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: total - shares.sum()]] += 1
    return dict(zip(classes, shares.tolist(), strict=True))


def _skull(path: Path, row: dict[str, str], line: int) -> Skull:
    """A row as a Skull; SkfmError naming the row and what is wrong with it."""
    if None in row or None in row.values():
        found = f"{path} line {line}: {len([v for v in row.values() if v])} values"
        expected = f"{len(row) - (None in row)} values"
        raise SkfmError(found, expected, "fix this row")
    where, labelled = f"{path} line {line} ({row['name']})", row["split"] in SPLITS[:3]
    scores = [str(q) for q in QUALITY_SCORES] if labelled else [""]
    valid_scores = "a quality of 2–6" if labelled else "no quality (unlabelled)"
    spacing = float(row["spacing"]) if NUMBER.fullmatch(row["spacing"]) else 0.0
    for column, valid, expected in (
        ("split", row["split"] in SPLITS, " or ".join(SPLITS)),
        ("quality", row["quality"] in scores, valid_scores),
        ("spacing", spacing > 0, "millimetres, such as 4.08"),
    ):
        if not valid:
            found = f"{where}: {column} {row[column]!r}"
            raise SkfmError(found, expected, "fix this row")
    if not (path.parent / row["file"]).is_file():
        raise SkfmError(f"{where}: {row['file']} does not exist", "its volume", REMEDY)
    quality = int(row["quality"]) if labelled else None
    texts = {name: row[name] for name in ("name", "split", "file", "source", "checks")}
    return Skull(**texts, quality=quality, spacing=spacing)
