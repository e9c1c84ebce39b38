"""Arrays that take seconds to compute, kept for later processes in the user's cache."""

import contextlib
import hashlib
import platform
from collections.abc import Callable, Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pooch

from skfm_lib.utils.files import replacing

CACHE = Path(pooch.os_cache("skfm"))
UNREADABLE = (OSError, EOFError, ValueError, BadZipFile)
Arrays = dict[str, np.ndarray]


def cached_arrays(
    name: str,
    make: Callable[[], Arrays],
    code: Iterable[Path],
    packages: Iterable[str],
    folder: Path | None = None,
) -> Arrays:
    """What ``make()`` returns, from ``NAME-KEY.npz`` in `folder` where that exists.

    The key is a hash of the files of `code`, the versions of `packages` and the kind of
    processor, on which the result depends.  A file that cannot be read is replaced;
    where none can be written, the arrays are computed every time.
    """
    digest = hashlib.sha256(platform.machine().encode())
    for path in sorted(code):
        digest.update(path.read_bytes())
    for package in sorted(packages):
        digest.update(f"{package} {version(package)}".encode())
    path = (folder or CACHE) / f"{name}-{digest.hexdigest()[:16]}.npz"
    if path.is_file():
        with contextlib.suppress(*UNREADABLE), np.load(path) as kept:
            return dict(kept)
    arrays = make()
    saved: dict[str, Any] = dict(arrays)
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **saved)
    return arrays
