"""Zip and tar archives from untrusted sources.

An archive may name files outside its own folder, hold links that lead out of it, or
unpack to more than any disk holds.  Its table of contents is checked before anything
is unpacked, and its regular files are unpacked to a temporary folder.  Links and
devices are never unpacked, but counted.
"""

import errno
import shutil
import stat
import tarfile
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import unreadable

ARCHIVE_SUFFIXES = (".zip", ".tar", ".tar.gz", ".tgz")
MOST_FILES = 200_000  # a hospital's CD has some 10,000
MOST_BYTES = 40 << 30  # MUG500+ packs 20 skulls of 0.5 GB into one archive
MOST_RATIO = 400  # unpacked over packed bytes: masks of air and bone reach 250
ALWAYS_ALLOWED = 1 << 28  # bytes that an archive may unpack to at any ratio
CHUNK = 1 << 20  # bytes
ZIP = b"PK"  # first bytes of a zip archive
BEGINNING = 1 << 17  # bytes that hold the header of a DICOM slice: 10,000 are usual

LINKS, SPECIAL = "links within archives", "pipes, sockets or devices"  # left out

_File = tuple[str, int, Callable[[], IO[bytes] | None]]  # name, bytes, opener


def members(path: Path) -> dict[str, int]:
    """Name → size in bytes of an archive's files, in its order (see `contents`)."""
    return contents(path)[0]


def contents(path: Path) -> tuple[dict[str, int], Counter[str]]:
    """Name → size in bytes of an archive's files, and what is left out: LINKS, SPECIAL.

    Raises:
        SkfmError: if it is damaged or encrypted, has names that lead out of its own
            folder (absolute, ``..``), holds two files of one name, or unpacks to more
            than MOST_FILES, MOST_BYTES or MOST_RATIO allow.
    """
    found: dict[str, int] = {}
    left_out: Counter[str] = Counter()
    total = 0
    with _one_error(path):
        most = most_bytes(path)
        for name, size, _ in _files(path, left_out):
            total += size
            if size < 0:
                raise unreadable(path)
            if total > most:
                raise _refused(path, f"it unpacks to more than {most / 2**30:.2g} GiB")
            if name in found:
                raise _refused(path, "it holds two files of one name")
            if name:
                found[name] = size
            if len(found) > MOST_FILES:
                raise _refused(path, f"it holds more than {MOST_FILES:,} files")
    return found, left_out


def most_bytes(path: Path) -> int:
    """Bytes that an archive of its size may unpack to."""
    return min(MOST_BYTES, max(ALWAYS_ALLOWED, MOST_RATIO * path.stat().st_size))


@contextmanager
def unpacked(path: Path, names: Collection[str]) -> Iterator[Path]:
    """A temporary folder with the members `names`, removed at the end of the block.

    SkfmError as for `members`, and if a member is missing, damaged or does not fit on
    the disk.
    """
    missing = set(names) - set(members(path))  # all is checked before any is unpacked
    if missing:
        raise _refused(path, f"{len(missing)} of its files are missing")
    with tempfile.TemporaryDirectory(prefix="skfm-") as folder:
        with _one_error(path):
            for name, stream in _streams(path, names):
                target = Path(folder, *PurePosixPath(name).parts)
                target.parent.mkdir(parents=True, exist_ok=True)
                with target.open("xb") as copy:
                    shutil.copyfileobj(stream, copy, CHUNK)
        yield Path(folder)


def first_bytes(path: Path, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
    """The first BEGINNING bytes of each member in `names`, in the archive's order."""
    with _one_error(path):
        for name, stream in _streams(path, names):
            yield name, stream.read(BEGINNING)


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Turn all that zipfile and tarfile raise for a damaged file into one error."""
    try:
        yield
    except (SkfmError, MemoryError):
        raise
    except Exception as reason:
        if getattr(reason, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
            found, expected = f"no space to unpack {path}", "a temporary folder with it"
            raise SkfmError(found, expected, "name one in TMPDIR") from reason
        raise unreadable(path) from reason


def _streams(path: Path, names: Collection[str]) -> Iterator[tuple[str, IO[bytes]]]:
    wanted = set(names)
    for name, _, open_member in _files(path):
        if name in wanted and (stream := open_member()):
            with stream:
                yield name, stream


def _files(path: Path, left_out: Counter[str] | None = None) -> Iterator[_File]:
    """The regular files, from the table of contents; a tar's padding has no name."""
    left_out = Counter() if left_out is None else left_out
    with path.open("rb") as file:
        is_zip = file.read(2) == ZIP  # whatever its name says
    if is_zip:
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                kind = stat.S_IFMT(info.external_attr >> 16)
                if info.flag_bits & 1:
                    raise _refused(path, "it is encrypted")
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    left_out[LINKS if kind == stat.S_IFLNK else SPECIAL] += 1
                elif not info.is_dir() and not info.filename.endswith("\\"):
                    name = _safe(path, info.filename)
                    yield name, info.file_size, partial(archive.open, info)
        return
    with tarfile.open(path) as archive:
        for entry in archive:
            if entry.isreg():
                name = _safe(path, entry.name)
                yield name, entry.size, partial(archive.extractfile, entry)
            elif not entry.isdir():
                left_out[LINKS if entry.issym() or entry.islnk() else SPECIAL] += 1
        while rest := archive.fileobj.read(CHUNK):  # up to gzip's checksum
            yield "", len(rest), lambda: None


def _safe(path: Path, name: str) -> str:
    """The name, with ``/`` for the ``\\`` that some programs for Windows write."""
    name = name.replace("\\", "/")
    parts = PurePosixPath(name).parts
    outside = name.startswith("/") or ".." in parts or ":" in name[:2]
    if not parts or outside or "\0" in name:
        raise _refused(path, "it would write outside its own folder")
    return str(PurePosixPath(*parts))


def _refused(path: Path, why: str) -> SkfmError:
    remedy = "unpack it yourself, if you trust it, and name the folder"
    return SkfmError(f"{path} is not unpacked: {why}", "a plain archive", remedy)
