"""Zip and tar archives from outside, read without trusting them.

An archive may name files beside its own folder, hold links that lead out of it, or
unpack to more than any disk holds.  Its table of contents is checked before anything
is unpacked, and what is unpacked goes to a temporary folder.
"""

import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix, unreadable

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 200_000  # a hospital's CD has some 10,000
MOST_BYTES = 40 << 30  # MUG500+ packs 20 skulls of 0.5 GB into one archive
MOST_RATIO = 400  # bytes unpacked a byte packed: masks of air and bone reach 250
ALWAYS_ALLOWED = 1 << 28  # bytes; small archives may pack as well as they like
CHUNK = 1 << 20  # bytes
BEGINNING = 1 << 17  # bytes that hold the header of a DICOM slice: 10,000 are usual


def members(path: Path) -> dict[str, int]:
    """Name → size in bytes of the files in an archive, in its order.

    SkfmError where it is damaged, encrypted, leads out of its own folder (absolute
    names, ``..``, links, devices), holds two files of one name, or unpacks to more
    than MOST_FILES, MOST_BYTES or MOST_RATIO allow.
    """
    path = Path(path)
    found: dict[str, int] = {}
    total = 0
    with _damage_named(path):
        for name, size in _contents(path):
            total += size
            _check_size(path, len(found) + 1, total)
            if name in found:
                raise _refused(path, "it holds two files of one name")
            if name:
                found[name] = size
    return found


@contextmanager
def unpacked(path: Path, names: Collection[str]) -> Iterator[Path]:
    """A temporary folder with the members `names`; gone when the block ends.

    SkfmError as `members`, and where a member is damaged or does not fit on the disk.
    """
    path, wanted = Path(path), set(names)
    absent = wanted - set(members(path))
    if absent:
        raise _refused(path, f"{len(absent)} of its files are gone")
    with tempfile.TemporaryDirectory(prefix="skfm-") as folder:
        for name, stream in _streams(path, wanted):
            _copy(path, stream, Path(folder, *PurePosixPath(name).parts))
        yield Path(folder)


def beginnings(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The first BEGINNING bytes of each member in `names`, in the archive's order."""
    for name, stream in _streams(Path(path), set(names)):
        yield name, stream.read(BEGINNING)


def _copy(path: Path, stream: BinaryIO, target: Path) -> None:
    chunks = _chunks(path, stream)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with target.open("xb") as copy:
            copy.writelines(chunks)
    except OSError as reason:
        raise SkfmError(
            f"{path} could not be unpacked to {target.parents[-3]}",
            "room for it there",
            "free some, or name a folder with room in TMPDIR",
        ) from reason


def _chunks(path: Path, stream: BinaryIO) -> Iterator[bytes]:
    with _damage_named(path):
        while chunk := stream.read(CHUNK):
            yield chunk


@contextmanager
def _damage_named(path: Path) -> Iterator[None]:
    """What zipfile and tarfile raise at a damaged or encrypted file, as one error."""
    try:
        yield
    except (SkfmError, GeneratorExit, MemoryError):
        raise
    except Exception as reason:  # whatever damage leads to
        raise unreadable(path) from reason


def _contents(path: Path) -> Iterator[tuple[str, int]]:
    """Checked name and size of every file, read from the table of contents only.

    The padding at the end of a tar file comes without a name.
    """
    if suffix(path) == ".zip":
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _refused(path, "it holds a link or a device")
                if info.flag_bits & 1:
                    raise _refused(path, "it is encrypted")
                if not info.is_dir():
                    yield _safe(path, info.filename), info.file_size
    else:
        with tarfile.open(path) as archive:
            for entry in archive:
                if not (entry.isreg() or entry.isdir()):
                    raise _refused(path, "it holds a link or a device")
                if entry.isreg():
                    yield _safe(path, entry.name), entry.size
            while rest := archive.fileobj.read(CHUNK):  # to gzip's checksum
                yield "", len(rest)


def _streams(path: Path, wanted: set[str]) -> Iterator[tuple[str, BinaryIO]]:
    with _damage_named(path):
        if suffix(path) == ".zip":
            with zipfile.ZipFile(path) as archive:
                for info in archive.infolist():
                    if info.filename in wanted:
                        with archive.open(info) as stream:
                            yield info.filename, stream
        else:
            with tarfile.open(path) as archive:
                for entry in archive:
                    if entry.name in wanted:
                        yield entry.name, archive.extractfile(entry)


def _safe(path: Path, name: str) -> str:
    parts = PurePosixPath(name).parts
    outside = name.startswith("/") or ".." in parts or "\\" in name or ":" in name[:2]
    if not parts or outside or "\0" in name:
        raise _refused(path, "it would write outside its own folder")
    return name


def _check_size(path: Path, count: int, total: int) -> None:
    if count > MOST_FILES:
        raise _refused(path, f"it holds more than {MOST_FILES} files")
    allowed = max(ALWAYS_ALLOWED, MOST_RATIO * path.stat().st_size)
    if total > min(MOST_BYTES, allowed):
        raise _refused(path, f"it unpacks to more than {total / 2**30:.1f} GiB")


def _refused(path: Path, why: str) -> SkfmError:
    remedy = "unpack it yourself, if you trust it, and name the folder"
    return SkfmError(f"{path} is not unpacked: {why}", "a plain archive", remedy)
