"""One scan of a user's folder, before it is read."""

from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from skfm_lib.data.io.meshes import MESH_SUFFIXES
from skfm_lib.data.io.volumes import VOLUME_SUFFIXES
from skfm_lib.utils.files import stem, suffix

SCAN_SUFFIXES = VOLUME_SUFFIXES + MESH_SUFFIXES


@dataclass(frozen=True)
class Item:
    """A file: `key` is its place below the user's folder, archives being folders."""

    key: str
    path: Path  # on the disk: the file, or the archive with it
    member: str = ""


@dataclass(frozen=True)
class Source:
    """What becomes one skull: a volume, a mesh, or the slices of one DICOM series.

    key      a file's place below the user's folder; for DICOM, the identifiers
    patient  whose scan it is; no two patients have the same.  Both may name a person
    note     why this series of several, without identifiers
    said     what a public set says of it, such as ``craniotomy``
    """

    key: str
    items: tuple[Item, ...]
    patient: str
    note: str = ""
    said: str = ""

    @property
    def suffix(self) -> str:
        """The suffix that names the format, or ``dicom``."""
        kind = suffix(Path(self.items[0].key))
        return kind if kind in SCAN_SUFFIXES else "dicom"

    @property
    def place(self) -> str:
        """Below the user's folder: a file, or the folder of a series' first slice."""
        first = PurePosixPath(self.items[0].key)
        return str(first if self.suffix != "dicom" else first.parent)

    @property
    def name(self) -> str:
        """The last part of its place, without suffix."""
        return stem(Path(self.place))

    @property
    def names(self) -> set[str]:
        """What a table may call it: with and without folders and suffix."""
        return {self.place, Path(self.place).name, self.name}

    @property
    def stamp(self) -> str:
        """Changes when a file does: sizes and times of all."""
        files = {item.path: item.path.stat() for item in self.items}.values()
        times = [(file.st_size, file.st_mtime_ns) for file in files]
        return repr((self.key, times))

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(path.stat().st_size for path in {item.path for item in self.items})
