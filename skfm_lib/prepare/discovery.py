"""Find the scans in a user's folder, and the patient that each belongs to."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from skfm_lib.data.io.archives import ARCHIVE_SUFFIXES, first_bytes, members
from skfm_lib.data.io.dicom_headers import Slice, choose_series, read_slice
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.prepare.public_datasets import Layout
from skfm_lib.prepare.source import SCAN_SUFFIXES, Item, Source
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix
from skfm_lib.utils.progress import track

HEADER = 200_000  # bytes of a file that its header takes at most
NO_DICOM = re.compile(
    r"\.(csv|txt|json|xml|html?|pdf|png|jpe?g|z?raw|gz|md|py)$|(^|/)(\.|dicomdir)[^/]*$",
    re.I,
)


@dataclass
class Found:
    """The scans of a folder.

    `problems` maps paths below the folder to why they cannot be used; `left_out` counts
    the files of public data sets that are not used, by reason.
    """

    sources: list[Source] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    left_out: Counter[str] = field(default_factory=Counter)


def find_sources(folder: Path, out: Path, sandbox: Sandbox) -> Found:
    """Find every scan under `folder` (or the one scan that it names), except in `out`.

    Volumes and meshes are recognised by suffix, DICOM slices by content; files in
    archives count like those in folders.  DICOM slices are grouped by patient and
    study, and one series of each study is chosen (see `dicom_headers.choose_series`).
    SkfmError if the folder is missing or contains no scan.
    """
    folder = Path(folder).absolute()
    if not folder.exists():
        raise SkfmError(f"{folder} does not exist", "scans there", "check the name")
    found = Found()
    groups = list(_groups(folder, Path(out).resolve(), found.problems))
    layout = Layout([item for items in groups for item in items])
    slices = []
    for items in track(groups, "Looking for scans"):
        unknown = []
        for item in items:
            if reason := layout.exclusion(item.key):
                found.left_out[reason] += 1
            elif item.is_scan:
                patient = layout.patient(item.key) or item.key
                remark = layout.remark(item.key)
                found.sources.append(Source(item.key, (item,), patient, "", remark))
            elif not NO_DICOM.search(item.key):
                unknown.append(item)
        slices += _dicom_slices(unknown, sandbox, found.problems)
    _add_studies(slices, found, layout)
    if not found.sources and not found.problems:
        kinds = " ".join(("DICOM", *SCAN_SUFFIXES, *ARCHIVE_SUFFIXES))
        raise SkfmError(f"{folder} holds no scans", kinds, "name the folder of scans")
    return found


def find_source(path: Path, sandbox: Sandbox) -> Source:
    """The one scan of a file or folder; SkfmError if there are none or several."""
    found = find_sources(path, path / "-", sandbox)
    if len(found.sources) != 1 or found.problems:
        why = next(iter(found.problems.values()), f"{len(found.sources)} scans")
        raise SkfmError(f"{path}: {why}", "one scan", "name its file or folder")
    return found.sources[0]


def headers_of(items: list[Item]) -> list[Slice | str | None]:
    """The DICOM header of each file of one folder or archive.

    None for a file that is not DICOM; for a damaged one, what is wrong with it.
    """
    size = items[0].path.stat().st_size if items[0].member else HEADER * len(items)
    with time_limit(reading_time(size)):
        if not items[0].member:
            return [_header(item.path) for item in items]
        contents = first_bytes(items[0].path, [item.member for item in items])
        headers = {name: _header(content) for name, content in contents}
        return [headers[item.member] for item in items]


def _header(source: Path | bytes) -> Slice | str | None:
    try:
        return read_slice(source)
    except SkfmError as problem:
        return str(problem)


def _groups(folder: Path, out: Path, problems: dict[str, str]) -> Iterator[list[Item]]:
    """The files of each archive and of each folder, sorted."""
    base = folder if folder.is_dir() else folder.parent
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    by_folder = defaultdict(list)
    for path in paths:
        below = path.relative_to(base)
        hidden = any(part.startswith((".", "__MACOSX")) for part in below.parts)
        if hidden or not path.is_file() or path.resolve().is_relative_to(out):
            continue
        key = below.as_posix()
        if suffix(path) not in ARCHIVE_SUFFIXES:
            by_folder[path.parent].append(Item(key, path))
            continue
        try:
            yield [Item(f"{key}/{name}", path, name) for name in members(path)]
        except SkfmError as problem:
            problems[key] = str(problem)
    yield from by_folder.values()


def _dicom_slices(
    items: list[Item], sandbox: Sandbox, problems: dict[str, str]
) -> list[tuple[Slice, Item]]:
    """The DICOM slices among files of one folder; damaged ones become a problem."""
    if not items:
        return []
    try:
        headers = sandbox(headers_of, items)
    except SkfmError as problem:
        problems[items[0].key] = str(problem)
        return []
    if damaged := sum(isinstance(header, str) for header in headers):
        folder = str(PurePosixPath(items[0].key).parent)
        problems[folder] = f"{damaged} damaged slices; export them again"
    return [(h, item) for h, item in zip(headers, items) if isinstance(h, Slice)]


def _add_studies(
    slices: list[tuple[Slice, Item]], found: Found, layout: Layout
) -> None:
    """Add one series of each study, or the reason why none can be used."""
    # Slices without a study identifier are grouped by folder instead.
    studies = defaultdict(list)
    for piece, item in slices:
        archive = item.path if item.member else None
        folder = PurePosixPath(item.key).parent if not piece.study else ""
        studies[piece.patient, piece.study, archive, folder].append((piece, item))
    for (patient, study, _, folder), pairs in studies.items():
        chosen, note = choose_series(piece for piece, _ in pairs)
        if not chosen:
            found.problems[str(PurePosixPath(pairs[0][1].key).parent)] = note
            continue
        item_of = {id(piece): item for piece, item in pairs}
        items = tuple(item_of[id(piece)] for piece in chosen)
        key = f"{patient or folder} {study or folder} {chosen[0].series}"
        if all(source.key != key for source in found.sources):  # otherwise a copy
            own = layout.patient(items[0].key) or patient or str(folder)
            remark = layout.remark(items[0].key)
            found.sources.append(Source(key, items, own, note, remark))
