"""One scan of a user's folder: its files, how to open them and how to name them."""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from skfm_lib.data.io.archives import members, unpacked
from skfm_lib.data.io.meshes import MESH_SUFFIXES
from skfm_lib.data.io.volumes import VOLUME_SUFFIXES
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import stem, suffix

SCAN_SUFFIXES = VOLUME_SUFFIXES + MESH_SUFFIXES
PATH_ENDS = r"""(?=[\s:;,)'"]|\.?(?:\s|$))"""  # what may follow a path in a sentence
HEADER_ONLY = (".nhdr", ".mhd", ".gltf")  # the voxels or points are in a file beside it


@dataclass(frozen=True)
class Item:
    """One file of a scan, or the archive that contains it as `member`.

    `key` is the path below the user's folder, in which archives count as folders.
    """

    key: str
    path: Path
    member: str = ""

    @property
    def is_scan(self) -> bool:
        """Whether its suffix is that of a volume or mesh."""
        return suffix(self.key) in SCAN_SUFFIXES


@dataclass(frozen=True)
class Source:
    """The files of one skull: a volume, a mesh, or the slices of a DICOM series.

    Attributes:
        key: Path below the user's folder; for DICOM, the identifiers.
        patient: Unique in the folder.  It and `key` may identify a person: never write
            them to a data set.
        note: Why this series was chosen among several, without identifiers.
        remark: What a public data set states about it, such as ``craniotomy``.
    """

    key: str
    items: tuple[Item, ...]
    patient: str
    note: str = ""
    remark: str = ""

    def __str__(self) -> str:
        return self.location

    @property
    def suffix(self) -> str:
        """The suffix that names the format, or ``dicom``."""
        first = self.items[0]
        return suffix(first.key) if first.is_scan else "dicom"

    @property
    def location(self) -> str:
        """Path below the user's folder of the file, or of the folder of a series."""
        first = PurePosixPath(self.items[0].key)
        return str(first if self.suffix != "dicom" else first.parent)

    @property
    def name(self) -> str:
        """The last part of its location, without suffix."""
        return stem(Path(self.location))

    @property
    def names(self) -> set[str]:
        """Names that a table may use for it: with and without folders and suffix."""
        return {self.location, Path(self.location).name, self.name}

    @property
    def files(self) -> int:
        """Number of its files, or members of an archive."""
        return len(set(self.items))

    @property
    def stamp(self) -> str:
        """Sizes and modification times of its files, to detect changes."""
        files = {item.path: item.path.stat() for item in self.items}.values()
        return repr((self.key, [(f.st_size, f.st_mtime_ns) for f in files]))

    @property
    def size(self) -> int:
        """Bytes on disk."""
        return sum(path.stat().st_size for path in {item.path for item in self.items})


@contextmanager
def on_disk(source: Source) -> Iterator[list[Path]]:
    """The paths of a source's files; members of an archive are unpacked temporarily.

    Any SkfmError raised within the block names the archive instead of these paths.
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
            raise redact(problem, paths, str(first.path)) from None


def one_line(name: str) -> str:
    r"""A file name as text that can be printed and written, whatever its bytes are.

    >>> print(one_line("a\nb\udce9"))
    a\nb\xe9
    """
    return "".join(
        c if c.isprintable() else repr(c.encode("utf-8", "surrogateescape"))[2:-1]
        for c in name
    )


def redact(problem: SkfmError, paths: Iterable[Path], name: str) -> SkfmError:
    """The same error with `name` in place of paths and of the folders they are in.

    Only whole absolute paths are replaced, never a name within a sentence.  What
    follows a path and is no end of it, such as another file of its folder, may name a
    person as well: it is dropped, up to the end of that part of the error.

    >>> path = Path("/Doe/in/ct.nii")
    >>> print(redact(SkfmError(f"{path} is cut short", "", "try again"), [path], "a1"))
    a1 is cut short; next: try again
    >>> print(redact(SkfmError(f"{path.parent}/Jane.raw is missing"), [path], "a1"))
    a1
    """
    ways = {way for path in paths for way in (path, path.resolve())}
    ways |= {way.parent for way in ways}
    texts = {str(way) for way in ways if way != way.parent}
    texts |= {repr(text)[1:-1] for text in texts}  # as the system's errors quote them
    if not texts:
        return problem
    known = "|".join(map(re.escape, sorted(texts, key=len, reverse=True)))
    path = re.compile(rf"(?<![\w./\\-])(?:{known})(?:{PATH_ENDS}|.*)", re.DOTALL)
    hidden = (path.sub(lambda _: name, part) for part in problem.parts)
    return type(problem)(*hidden)
