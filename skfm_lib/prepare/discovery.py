"""Find the scans in a user's folder, and the patient that each belongs to."""

import os
from collections import Counter, defaultdict
from collections.abc import Mapping
from pathlib import Path

from skfm_lib.data.io.archives import ARCHIVE_SUFFIXES, contents, most_bytes
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.prepare.dicom_studies import dicom_slices, dicom_sources
from skfm_lib.prepare.folder_walk import LOCKED, Walk, check_number
from skfm_lib.prepare.found import Found
from skfm_lib.prepare.other_files import EMPTY, HIDDEN, kind_of
from skfm_lib.prepare.public_datasets import READINGS, Layout
from skfm_lib.prepare.source import SCAN_SUFFIXES, Item, Source
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix
from skfm_lib.utils.progress import Progress

STEP = 500  # files whose headers are read at a time
UNPACKING = 5e7  # bytes per second, on a slow machine: a tar.gz is listed by unpacking


def find_sources(folder: Path, out: Path, sandbox: Sandbox) -> Found:
    """Find every scan under `folder` (or the one scan that it names), except in `out`.

    Volumes and meshes are recognised by suffix, DICOM slices by content; files in
    archives count like those in folders, and links are followed (see `Walk`).  DICOM
    slices are grouped by patient and study, and one series of each study is chosen (see
    `stacks.choose_series`).  SkfmError if the folder is missing or contains no
    scan: it says what is there instead.
    """
    folder = Path(folder).absolute()
    if not folder.exists():
        raise SkfmError(f"{folder} does not exist", "scans there", "check the name")
    found, slices = Found(), []
    with Progress("Looking for scans") as bar:
        groups = _groups(folder, out, sandbox, found, bar)
        layout = Layout([item for items in groups for item in items])
        waiting = sum(map(len, groups))
        bar.total, bar.note = found.files + waiting, ""
        bar.advance(found.files)
        for items in groups:
            unknown = []
            for item in items:
                if reason := layout.exclusion(item.key):
                    found.left_out[reason] += 1
                elif item.is_scan:
                    patient = layout.patient(item.key) or item.key
                    remark = layout.remark(item.key)
                    found.sources.append(Source(item.key, (item,), patient, "", remark))
                elif kind := kind_of(item.key, bool(item.member)):
                    found.left_out[kind] += 1
                else:
                    unknown.append(item)
            bar.advance(len(items) - len(unknown))
            # An archive is read in one go, a folder by parts, to show the progress.
            step = len(unknown) if items[0].member else STEP
            for start in range(0, len(unknown), step or 1):
                part = unknown[start : start + step]
                slices += dicom_slices(part, sandbox, found)
                bar.advance(len(part))
    found.sources += dicom_sources(slices, layout, found)
    if not found.sources and not found.problems:
        raise _no_scans(found.left_out)
    return found


def find_source(path: Path, sandbox: Sandbox) -> Source:
    """The one scan of a file or folder, whatever else is there.

    SkfmError if there are none or several, or one and others that cannot be used.
    """
    found = find_sources(path, path / "-", sandbox)
    if len(found.sources) == 1 and not found.problems:
        return found.sources[0]
    number = len(found.sources)
    there = f"{number} scan{'s' * (number > 1)}" if number else ""
    if found.problems:
        first = next(iter(found.problems.values()))
        others = f"{len(found.problems)} that cannot be used, the first: "
        there = f"{there} and {others}{first}" if there else first
    remedy = "name the scan's own file, or the folder of its series"
    raise SkfmError(f"{path}: {there}", "one scan", remedy)


def listed(path: Path) -> tuple[dict[str, int], Counter[str]]:
    """The `contents` of an archive, within limits of time; meant for a `Sandbox`."""
    packed = path.stat().st_size
    with time_limit(reading_time(packed) + most_bytes(path) / UNPACKING):
        return contents(path)


def _groups(
    folder: Path, out: Path, sandbox: Sandbox, found: Found, bar: Progress
) -> list[list[Item]]:
    """The files of each folder and of each archive that may be scans; counts others."""
    groups: defaultdict[Path, list[Item]] = defaultdict(list)
    number = 0
    for key, path, size in Walk(folder, out, found.left_out):
        members: Mapping[str, int] = {"": size}
        if not os.access(path, os.R_OK):
            if suffix(path) in SCAN_SUFFIXES + ARCHIVE_SUFFIXES:
                found.fail(key, "no permission to read it; next: chmod u+r")
            else:
                found.left_out[LOCKED] += 1
            continue
        if suffix(path) in ARCHIVE_SUFFIXES:
            try:
                members, left_out = sandbox(listed, path)
            except SkfmError as problem:
                found.fail(key, str(problem))
                continue
            found.left_out += left_out
        for name, size in members.items():
            item = Item(f"{key}/{name}" if name else key, path, name)
            if reason := _no_reading(item, size):
                found.left_out[reason] += 1
            else:
                groups[path if name else path.parent].append(item)
        number += len(members)
        check_number(number)
        bar.advance(0, f"{number:,} files so far")
    return list(groups.values())


def _no_reading(item: Item, size: int) -> str:
    """Why a file is left out without reading it, or ""."""
    kind = kind_of(item.key, bool(item.member))
    if kind != HIDDEN and (item.is_scan or item.path.name == READINGS):
        return ""  # to be read; the table, by `Layout`
    return kind if kind or size else EMPTY


def _no_scans(left_out: Counter[str]) -> SkfmError:
    there = ", ".join(f"{n:,} × {why}" for why, n in left_out.most_common())
    found = f"the folder holds no scans (it holds {there or 'nothing'})"
    kinds = " ".join(("DICOM", *SCAN_SUFFIXES, *ARCHIVE_SUFFIXES))
    return SkfmError(found, kinds, "name the folder or archive of the scans")
