"""The CT series among the DICOM files of a user's folder."""

from collections import Counter, defaultdict
from pathlib import Path, PurePosixPath

from skfm_lib.data.io.archives import first_bytes, unpacked
from skfm_lib.data.io.dicom.headers import Slice, read_slices
from skfm_lib.data.io.dicom.stacks import FEWEST, choose_series
from skfm_lib.data.io.sandbox import Sandbox, reading_time, time_limit
from skfm_lib.prepare.found import Found
from skfm_lib.prepare.other_files import UNKNOWN
from skfm_lib.prepare.public_datasets import Layout
from skfm_lib.prepare.source import Item, Source
from skfm_lib.utils.errors import SkfmError

HEADER = 200_000  # bytes of a file that its header takes at most
Slices = list[tuple[Slice, Item]]


def headers_of(items: list[Item]) -> list[list[Slice] | str]:
    """The DICOM headers in each file of one folder or archive.

    Empty for a file that is not DICOM; for a damaged one, what is wrong with it.
    """
    size = items[0].path.stat().st_size if items[0].member else HEADER * len(items)
    with time_limit(reading_time(size)):
        if not items[0].member:
            return [_headers(item.path) for item in items]
        contents = first_bytes(items[0].path, [item.member for item in items])
        headers = {name: _headers(content) for name, content in contents}
        # Headers of many frames are longer than the beginning of a file.
        if longer := [name for name, own in headers.items() if _ends_early(own)]:
            with unpacked(items[0].path, longer) as folder:
                headers |= {name: _headers(folder / name) for name in longer}
        return [headers[item.member] for item in items]


def _ends_early(headers: list[Slice] | str) -> bool:
    if isinstance(headers, str):
        return True
    return any(piece.modality == "CT" and not piece.pixels for piece in headers)


def _headers(source: Path | bytes) -> list[Slice] | str:
    try:
        return read_slices(source)
    except SkfmError as problem:
        return str(problem)


def dicom_slices(items: list[Item], sandbox: Sandbox, found: Found) -> Slices:
    """The DICOM headers in files of one folder or archive.

    Damaged slices become a problem of `found`; files of another kind are left out.
    """
    if not items:
        return []
    folder = str(PurePosixPath(items[0].key).parent)
    try:
        headers = sandbox(headers_of, items)
    except SkfmError as problem:
        found.fail(folder, str(problem), len(items))
        return []
    if damaged := sum(isinstance(own, str) for own in headers):
        found.fail(folder, "damaged slices; next: export them again", damaged)
    if others := sum(not own for own in headers):
        found.left_out[UNKNOWN] += others
    return [
        (piece, item)
        for own, item in zip(headers, items)
        if not isinstance(own, str)
        for piece in own
    ]


def dicom_sources(slices: Slices, layout: Layout, found: Found) -> list[Source]:
    """One series of each study; where none can be used, a problem of `found`.

    Objects that are no CT slices, scouts, other series and copies are left out.
    """
    left_out = found.left_out
    kinds = Counter(piece.modality for piece, _ in slices if piece.modality != "CT")
    if kinds:
        reason = f"DICOM objects that are no CT slices ({', '.join(sorted(kinds))})"
        left_out[reason] += kinds.total()
    slices = [(piece, item) for piece, item in slices if piece.modality == "CT"]
    if scouts := {item.key for piece, item in slices if piece.scout}:
        left_out["scouts of CT scans"] += len(scouts)
    sources: dict[str, Source] = {}  # by key: the same series elsewhere is a copy
    pieces = [(piece, item) for piece, item in slices if not piece.scout]
    for (study, _, folder), pairs in _studies(pieces):
        chosen, note = choose_series(piece for piece, _ in pairs)
        if not chosen:
            folder = str(PurePosixPath(pairs[0][1].key).parent)
            found.fail(folder, note, len({item for _, item in pairs}))
            continue
        item_of = {id(piece): item for piece, item in pairs}
        items = tuple(dict.fromkeys(item_of[id(piece)] for piece in chosen))
        if others := {item for _, item in pairs} - set(items):
            left_out["slices of other CT series of the same studies"] += len(others)
        patients = sorted({piece.patient for piece, _ in pairs} - {"", study})
        if len({piece.patient for piece, _ in pairs}) > 1:
            note = "; ".join(filter(None, (note, "several patient identifiers")))
        owner, series = [*patients, study, folder][0], min(s.series for s in chosen)
        key = f"{owner} {study or folder} {series}"
        own = layout.patient(items[0].key) or owner
        remark = layout.remark(items[0].key)
        source, other = Source(key, items, own, note, remark), sources.get(key)
        if other:
            left_out["copies of CT series"] += min(source.files, other.files)
        if not other or source.files > other.files:
            sources[key] = source
    return list(sources.values())


def _studies(slices: Slices) -> list[tuple[tuple[str, Path | None, str], Slices]]:
    """Slices by study, archive and folder, and by patient.

    The folder counts only where the study has no identifier, or where each slice has
    one of its own.  Some programs replace the patient in a part of the files only: a
    series is that of one patient all the same (see `_belong_together`).
    """
    sizes = Counter(piece.study for piece, _ in slices)
    studies = defaultdict[tuple[str, Path | None, str], dict[str, Slices]](dict)
    for piece, item in slices:
        archive = item.path if item.member else None
        known = piece.study if sizes[piece.study] >= FEWEST else ""
        folder = "" if known else str(PurePosixPath(item.key).parent)
        of_patients = studies[known, archive, folder]
        of_patients.setdefault(piece.patient, []).append((piece, item))
    joined = []
    for key, of_patients in studies.items():
        parts: list[Slices] = []
        for own in of_patients.values():
            for part in parts:
                if _belong_together(own, part):
                    part += own
                    break
            else:
                parts.append(own)
        joined += [(key, part) for part in parts]
    return joined


def _belong_together(one: Slices, other: Slices) -> bool:
    """Whether slices of two patient identifiers are one series: copies, or parts of it.

    Parts only where one has no identifier: a bad anonymisation also gives the series of
    several patients one identifier, at any positions.
    """
    shared = {p.series for p, _ in one} & {p.series for p, _ in other} - {""}
    one_has, other_has = (
        [piece for piece, _ in own if piece.series in shared] for own in (one, other)
    )
    if {p.instance for p in one_has} & {p.instance for p in other_has} - {""}:
        return True
    unnamed = not (one[0][0].patient and other[0][0].patient)
    positions = ({p.position for p in own} for own in (one_has, other_has))
    return bool(shared) and unnamed and not set.intersection(*positions)
