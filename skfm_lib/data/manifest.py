"""A data set on disk: ``manifest.csv``, one row a skull, beside ``volumes/``.

``settings.json`` says how the volumes were made, so that two different data sets
never mix in one folder.
"""

import csv
import json
import math
from collections import Counter
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from skfm_lib.presets import QUALITY_SCORES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing

SPLITS = ("train", "test", "unlabelled")
REMEDY = "make the data set: `skfm run 01` (phantoms) or `skfm prepare FOLDER` (scans)"


@dataclass(frozen=True)
class Skull:
    """One row of the manifest.

    name     unique; quality score 2–6, or None in split "unlabelled"
    file     the volume, relative to the data set's folder
    source   how it was made: ``phantom seed 17`` or ``scan of`` a patient's code
    spacing  edge of a voxel, mm
    checks   ``ok`` or what is unusual, such as ``touches lower border``
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

    SkfmError where there is no manifest (saying what makes it), or naming the row
    with a bad quality, split or spacing, a duplicate name or a missing volume.
    """
    path = Path(folder) / "manifest.csv"
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a data set there", REMEDY)
    with path.open(newline="", encoding="utf-8") as stream:
        reader = csv.DictReader(stream)
        if reader.fieldnames != COLUMNS:
            found = f"{path}: columns {reader.fieldnames}"
            raise SkfmError(found, ",".join(COLUMNS), REMEDY)
        skulls = [_skull(path, row, reader.line_num) for row in reader]
    twice = [name for name, n in Counter(s.name for s in skulls).items() if n > 1]
    if twice:
        found = f"{path}: {', '.join(twice)} listed twice"
        raise SkfmError(found, "unique names", "rename or remove one of the rows")
    return skulls


def write_manifest(folder: Path, skulls: list[Skull]) -> None:
    """Write ``manifest.csv`` in one step; SkfmError if it cannot be written."""
    with replacing(Path(folder) / "manifest.csv") as temporary:
        with temporary.open("w", newline="", encoding="utf-8") as stream:
            writer = csv.DictWriter(stream, COLUMNS)
            writer.writeheader()
            writer.writerows(vars(skull) for skull in skulls)


def claim(folder: Path, settings: dict[str, object]) -> None:
    """Mark `folder` as the data set made with `settings`, new or to be resumed.

    SkfmError, naming what differs, where it holds a data set made otherwise.
    """
    path = Path(folder) / "settings.json"
    text = json.dumps(settings, indent=2, sort_keys=True)
    if path.is_file():
        old, new = json.loads(path.read_text(encoding="utf-8")), json.loads(text)
        differing = [k for k in sorted({*old, *new}) if old.get(k) != new.get(k)]
        if not differing:
            return
        found = f"{folder} holds another data set: " + ", ".join(
            f"{k} is {old.get(k)!r} there, {new.get(k)!r} asked" for k in differing
        )
        raise SkfmError(found, "a new folder", "name another folder or remove this one")
    if (Path(folder) / "manifest.csv").exists():
        found = f"{folder} holds a data set of unknown settings"
        raise SkfmError(found, "a new folder", "name another folder or remove this one")
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def proportional(counts: dict[int, int], total: int) -> dict[int, int]:
    """Share `total` out in proportion to `counts`, whole numbers, largest remainder."""
    classes = sorted(counts)
    exact = np.array([counts[c] for c in classes], float)
    exact *= total / max(exact.sum(), 1)
    shares = np.floor(exact).astype(int)
    order = np.argsort(shares - exact, kind="stable")
    shares[order[: total - shares.sum()]] += 1
    return {c: int(n) for c, n in zip(classes, shares, strict=True)}


def stratified_split(
    qualities: list[int], test_fraction: float, seed: int
) -> list[str]:
    """ "train" or "test" for each skull, every class in proportion (paper §4.1).

    ``round(test_fraction · n)`` skulls are for the test, shared out among the classes
    by largest remainder; which ones is drawn from `seed`.
    """
    counts = Counter(qualities)
    quotas = proportional(counts, round(test_fraction * len(qualities)))
    generator = np.random.default_rng(seed)
    splits = np.full(len(qualities), "train", dtype="<U5")
    for quality in sorted(counts):
        members = np.flatnonzero(np.asarray(qualities) == quality)
        splits[generator.permutation(members)[: quotas[quality]]] = "test"
    return splits.tolist()


def _skull(path: Path, row: dict[str, str], line: int) -> Skull:
    """A row as a Skull; SkfmError naming the row and what is wrong with it."""
    where = f"{path} line {line}"
    if None in row or None in row.values():
        found = f"{where}: {len([v for v in row.values() if v])} cells"
        raise SkfmError(found, f"{len(COLUMNS)} cells", "mend the row")
    where, quality, spacing = f"{where} ({row['name']})", None, _number(row["spacing"])
    if row["split"] not in SPLITS:
        found = f"{where}: split {row['split']!r}"
        raise SkfmError(found, " or ".join(SPLITS), "mend the row")
    if row["split"] == "unlabelled":
        allowed, expected = [""], "no quality (unlabelled)"
    else:
        allowed, expected = [str(q) for q in QUALITY_SCORES], "a quality of 2–6"
        quality = int(_number(row["quality"]) or 0)
    if row["quality"] not in allowed:
        found = f"{where}: quality {row['quality']!r}"
        raise SkfmError(found, expected, "mend the row")
    if spacing is None or spacing <= 0:
        found = f"{where}: spacing {row['spacing']!r}"
        raise SkfmError(found, "millimetres, such as 4.08", "mend the row")
    if not (path.parent / row["file"]).is_file():
        raise SkfmError(f"{where}: {row['file']} does not exist", "its volume", REMEDY)
    return Skull(**{**row, "quality": quality, "spacing": spacing})


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
