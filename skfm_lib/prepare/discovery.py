"""A user's folder: which files are scans, and which belong to one patient."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from skfm_lib.data.io.archives import ARCHIVE_SUFFIXES, first_bytes, members, unpacked
from skfm_lib.data.io.dicom_headers import Slice, choose_series, read_slice
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.prepare.public_datasets import Layout, read_fractures
from skfm_lib.prepare.source import SCAN_SUFFIXES, Item
from skfm_lib.prepare.source import Source as Source
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix
from skfm_lib.utils.progress import track

HEADER_ONLY = (".nhdr", ".mhd")  # their voxels are in a file beside them
HEADER = 200_000  # bytes of a file that its header takes, at most
NO_DICOM = re.compile(r"\.(csv|txt|json|xml|html?|pdf|png|jpe?g|raw|zraw|gz|md|py)$")


@dataclass
class Found:
    """The scans of a folder.

    problems  what cannot be used: place → why
    left_out  why files of public sets are none to prepare → how many
    """

    sources: list[Source] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    left_out: Counter = field(default_factory=Counter)


def find_sources(folder: Path, out: Path, sandbox: Sandbox) -> Found:
    """Every scan under `folder` (or the one scan that it names), `out` left out.

    Volumes and meshes are known by their suffix, DICOM slices by their content; the
    files in archives count as those in folders do.  DICOM is grouped by patient and
    study, and one series of each study is chosen (see `choose_series`).  SkfmError
    where the folder is missing or holds no scan.
    """
    folder = Path(folder)
    if not folder.exists():
        raise SkfmError(
            f"{folder} does not exist", "a folder of scans", "check the name"
        )
    found, slices = Found(), []
    groups = list(_groups(folder, Path(out).resolve(), found.problems))
    layout = _layout(groups)
    for items in track(groups, "Looking for scans"):
        reasons = [layout.left_out(item.key) for item in items]
        found.left_out.update(reason for reason in reasons if reason)
        items = [item for item, reason in zip(items, reasons) if not reason]
        found.sources += [_source(i, layout) for i in items if _is_scan(i)]
        maybe = [i for i in items if _maybe_dicom(i.key)]
        if not maybe:
            continue
        try:
            headers = sandbox(headers_of, maybe)
        except SkfmError as problem:
            found.problems[maybe[0].key] = str(problem)
            continue
        slices += [(h, i) for h, i in zip(headers, maybe) if isinstance(h, Slice)]
        if damaged := sum(isinstance(header, str) for header in headers):
            place = str(PurePosixPath(maybe[0].key).parent)
            found.problems[place] = f"{damaged} damaged slices; export them again"
    _add_studies(slices, found, layout)
    if not found.sources and not found.problems:
        kinds = " ".join(SCAN_SUFFIXES + ARCHIVE_SUFFIXES)
        raise SkfmError(
            f"{folder} holds no scans", f"DICOM or {kinds}", "name the folder of scans"
        )
    return found


@contextmanager
def on_disk(source: Source) -> Iterator[list[Path]]:
    """The source's files as paths, those in an archive unpacked for the while.

    A SkfmError within the block names the archive in their place.
    """
    first = source.items[0]
    if not first.member:
        yield [item.path for item in source.items]
        return
    wanted = [item.member for item in source.items]
    if source.suffix in HEADER_ONLY:
        beside = PurePosixPath(first.member).parent
        wanted = [m for m in members(first.path) if PurePosixPath(m).parent == beside]
    with unpacked(first.path, wanted) as folder:
        paths = [folder / item.member for item in source.items]
        try:
            yield paths
        except SkfmError as problem:
            raise SkfmError(without(str(problem), paths, str(first.path))) from None


def without(problem: str, paths: Iterable[Path], name: str) -> str:
    """The text with `name` in place of the paths and of their folders."""
    for path in paths:
        problem = problem.replace(str(path), name).replace(str(path.parent), name)
    return problem


def headers_of(items: list[Item]) -> list[Slice | str | None]:
    """The DICOM header of each item, None where it is none, else what is wrong."""
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
    """The files of each folder and of each archive, sorted."""
    base = folder if folder.is_dir() else folder.parent
    paths = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    by_folder = defaultdict(list)
    for path in paths:
        place = path.relative_to(base)
        hidden = any(p.startswith((".", "__MACOSX")) for p in place.parts)
        if hidden or not path.is_file() or path.resolve().is_relative_to(out):
            continue
        if suffix(path) in ARCHIVE_SUFFIXES:
            try:
                inside = members(path)
            except SkfmError as problem:
                problems[place.as_posix()] = str(problem)
                continue
            yield [Item(f"{place.as_posix()}/{m}", path, m) for m in inside]
        else:
            by_folder[path.parent].append(Item(place.as_posix(), path))
    yield from by_folder.values()


def _layout(groups: list[list[Item]]) -> Layout:
    items = [item for group in groups for item in group]
    scans = [item.key for item in items if _is_scan(item)]
    layout = Layout((item.key for item in items), scans)
    for item in items:
        if layout.cq500 and item.path.name == "reads.csv" and not item.member:
            layout.fractures |= read_fractures(item.path)
    return layout


def _source(item: Item, layout: Layout) -> Source:
    patient = layout.patient(item.key) or item.key
    return Source(item.key, (item,), patient, said=layout.note(item.key))


def _is_scan(item: Item) -> bool:
    return suffix(Path(item.key)) in SCAN_SUFFIXES


def _maybe_dicom(key: str) -> bool:
    name = key.lower()
    known = suffix(Path(name)) in SCAN_SUFFIXES or NO_DICOM.search(name)
    return not known and not PurePosixPath(name).name.startswith((".", "dicomdir"))


def _add_studies(
    slices: list[tuple[Slice, Item]], found: Found, layout: Layout
) -> None:
    studies = defaultdict(list)
    for piece, item in slices:
        archive = item.path if item.member else None
        folder = PurePosixPath(item.key).parent if not piece.study else ""
        studies[piece.patient, piece.study, archive, folder].append((piece, item))
    for (patient, study, _, folder), pairs in studies.items():
        chosen, note = choose_series(piece for piece, _ in pairs)
        key = f"{patient or folder} {study or folder}"
        if not chosen:
            found.problems[str(PurePosixPath(pairs[0][1].key).parent)] = note
            continue
        places = {id(piece): item for piece, item in pairs}
        items = tuple(places[id(piece)] for piece in chosen)
        key += f" {chosen[0].series}"
        if all(source.key != key for source in found.sources):  # or it is a copy
            own = layout.patient(items[0].key) or patient or str(folder)
            said = layout.note(items[0].key)
            found.sources.append(Source(key, items, own, note, said))
