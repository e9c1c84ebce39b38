"""A user's folder: which files are scans, and which quality scores they have."""

import csv
from collections import defaultdict
from pathlib import Path

from skfm_lib.data.files import stem, suffix
from skfm_lib.data.scans import MESH_SUFFIXES, VOLUME_SUFFIXES
from skfm_lib.errors import SkfmError
from skfm_lib.presets import QUALITY_SCORES


def find_scans(folder: Path, out: Path) -> dict[str, Path]:
    """Name → file for every volume and mesh under `folder`, sorted; `out` is left out.

    The name is the file's name without suffix.  SkfmError where the folder is missing
    or holds no scan, or where two files have one name.
    """
    if not folder.is_dir():
        raise SkfmError(f"{folder} is no folder", "a folder of scans", "check the name")
    found = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        within = path.resolve().is_relative_to(out.resolve())
        known = suffix(path) in VOLUME_SUFFIXES + MESH_SUFFIXES
        if known and path.is_file() and not hidden and not within:
            found[stem(path)].append(path)
    kinds = " ".join(VOLUME_SUFFIXES + MESH_SUFFIXES)
    if not found:
        raise SkfmError(f"{folder} holds no scans", kinds, "name the folder of scans")
    for name, paths in found.items():
        if len(paths) > 1:
            raise SkfmError(
                f"{' and '.join(map(str, paths))} have one name, {name}",
                "a name of its own for every scan",
                "rename or move one of them",
            )
    return {name: path for name, (path,) in found.items()}


def read_labels(folder: Path, table: Path | None, names: set[str]) -> dict[str, int]:
    """Quality score of each labelled scan, from `table` or ``labels.csv`` in `folder`.

    The table has the columns name (with or without suffix) and quality.  Without a
    table nothing is labelled.  SkfmError for a missing or unreadable table, a quality
    other than 2–6, a name twice, or a name that is no scan's.
    """
    path = Path(table or folder / "labels.csv")
    if table is None and not path.exists():
        return {}
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a table name,quality", "write it")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        reader = csv.DictReader(stream, skipinitialspace=True)
        if not {"name", "quality"} <= set(reader.fieldnames or ()):
            found = f"{path}: columns {reader.fieldnames}"
            raise SkfmError(found, "name,quality in the first line", "mend the table")
        qualities: dict[str, int] = {}
        for row in reader:
            where = f"{path} line {reader.line_num}"
            name = row["name"] if row["name"] in names else stem(row["name"])
            if name not in names:
                found = f"{where}: there is no scan {row['name']!r} in {folder}"
                raise SkfmError(found, "the name of a scan", "mend or remove the line")
            if name in qualities:
                found = f"{where}: {name} is labelled twice"
                raise SkfmError(found, "one line a scan", "remove one of the lines")
            if row["quality"] not in map(str, QUALITY_SCORES):
                found = f"{where}: quality {row['quality']!r} of {name}"
                raise SkfmError(found, "a quality score of 2–6", "mend the line")
            qualities[name] = int(row["quality"])
    return qualities
