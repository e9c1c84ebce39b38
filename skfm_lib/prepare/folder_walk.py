"""All files below a folder, each once: links are followed, and loops end."""

import errno
import os
import stat
from collections import Counter, deque
from collections.abc import Iterator
from pathlib import Path

from skfm_lib.data.io.archives import SPECIAL
from skfm_lib.prepare.other_files import HIDDEN, is_hidden
from skfm_lib.utils.errors import SkfmError

MOST_FILES = 1_000_000
BROKEN = "links that lead nowhere"
MET = "links to files and folders that are met elsewhere"
ABOVE = "links to folders above, which are not followed"
TWICE = "further names of the same files (hard links)"
LOCKED = "files or folders without the permission to read them"
UNREADABLE = "files or folders that the system cannot open"
MADE = "data sets that skfm made"
_MARKS = {"settings.json", "volumes"}  # of such a data set (see `manifest.claim`)
_LOCKED = (errno.EACCES, errno.EPERM)


class Walk:
    """The files below `folder` that are not hidden, each once and in a fixed order.

    Iterate over it for ``(key, path, bytes)``, where the key is the path below the
    folder.  `left_out` counts everything else that is met, by reason.  The folder `out`
    is passed over, and data sets below `folder` that skfm made from other scans.

    Symbolic links are followed wherever they lead, except to folders above, after
    everything that is in the folder itself: a file keeps its own path, not that of a
    link to it.  Links within hidden folders are not followed.

    Raises:
        SkfmError: for more than MOST_FILES, folders and links included.
    """

    def __init__(self, folder: Path, out: Path, left_out: Counter[str]) -> None:
        self.folder, self.left_out = folder, left_out
        self._out = os.path.realpath(out)
        self._met: set[object] = set()  # folders, and files that have several names
        self._links: deque[tuple[str, str]] = deque()  # keys and paths
        self._number = 0

    def __iter__(self) -> Iterator[tuple[str, Path, int]]:
        if not self.folder.is_dir():
            yield from self._file(self.folder.name, os.fspath(self.folder))
            return
        top = os.path.realpath(self.folder)
        yield from self._tree("", os.fspath(self.folder))
        while self._links:
            key, path = self._links.popleft()
            real = os.path.realpath(path)
            parent, name = os.path.split(real)
            if real in self._met or (parent in self._met and not is_hidden(name)):
                exists = os.path.exists(real)
                self.left_out[MET if exists else BROKEN] += 1
            elif os.path.join(top, "").startswith(os.path.join(real, "")):
                self.left_out[ABOVE] += 1
            elif os.path.isdir(real):
                yield from self._tree(f"{key}/", path)
            else:
                self._met.add(real)
                yield from self._file(key, path)

    def _tree(self, key: str, path: str) -> Iterator[tuple[str, Path, int]]:
        """The files of a folder and of the folders in it; links are put off."""
        waiting = [(key, path, os.path.realpath(path), "")]
        while waiting:
            key, path, real, reason = waiting.pop()
            if real in self._met or real == self._out:
                continue
            if not reason:
                self._met.add(real)
            deeper, entries = [], self._entries(path)
            if key and not reason and {entry.name for entry in entries} >= _MARKS:
                reason = MADE
            for entry in entries:
                below = key + entry.name
                unseen = reason or (HIDDEN if is_hidden(entry.name) else "")
                if entry.is_dir(follow_symlinks=False):
                    inside = os.path.join(real, entry.name)
                    deeper.append((f"{below}/", entry.path, inside, unseen))
                elif unseen:
                    self.left_out[unseen] += 1
                elif entry.is_symlink():
                    self._links.append((below, entry.path))
                else:
                    yield from self._file(below, entry.path)
            waiting += reversed(deeper)

    def _entries(self, folder: str) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                inside = []
                for entry in entries:
                    inside.append(entry)
                    self._count()
        except OSError as reason:
            self.left_out[_cause(reason)] += 1
            return []
        return sorted(inside, key=lambda entry: entry.name)

    def _file(self, key: str, path: str) -> Iterator[tuple[str, Path, int]]:
        try:
            about = os.stat(path)
        except OSError as reason:
            self.left_out[_cause(reason)] += 1
            return
        identity = about.st_dev, about.st_ino
        if not stat.S_ISREG(about.st_mode):
            self.left_out[SPECIAL] += 1
        elif about.st_nlink > 1 and identity in self._met:
            self.left_out[TWICE] += 1
        else:
            if about.st_nlink > 1:
                self._met.add(identity)
            yield key, Path(path), about.st_size

    def _count(self) -> None:
        self._number += 1
        check_number(self._number)


def check_number(files: int) -> None:
    """SkfmError for more than MOST_FILES."""
    if files > MOST_FILES:
        found = f"the folder holds more than {MOST_FILES:,} files"
        raise SkfmError(found, "a folder of scans", "name the folders in it one by one")


def _cause(reason: OSError) -> str:
    if reason.errno in (errno.ENOENT, errno.ELOOP):
        return BROKEN
    return LOCKED if reason.errno in _LOCKED else UNREADABLE
