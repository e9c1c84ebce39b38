"""Files that are either whole or not there."""

import gzip
import math
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.errors import SkfmError

DOUBLE_SUFFIXES = (".nii.gz", ".tar.gz")
NIFTI_HEADER = 352  # bytes before the voxels, NIfTI-1 standard
NIFTI_EXTENSIONS = 1 << 24  # bytes that may lie between header and voxels
NIFTI_FLOATS = {16: "f4", 64: "f8"}  # NIfTI-1 data types


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends.

    The temporary name keeps the whole suffix, because readers and writers choose
    the format by it.  Missing folders are made.  If the block fails, `path` stays
    as it was, nothing is left beside it, and OSError and ITK's RuntimeError (full
    disk, no permission) become SkfmError.
    """
    path = Path(path)
    temporary = path.with_name(f".{os.getpid()}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        os.replace(temporary, path)
    except (OSError, RuntimeError) as reason:
        raise SkfmError(
            f"{path} could not be written ({_last_line(reason)})",
            "a folder with room that you may write to",
            "free some space or name another output folder",
        ) from reason
    finally:
        if temporary.parent.is_dir():
            temporary.unlink(missing_ok=True)


def suffix(path: Path) -> str:
    """The suffix that names the format, in lower case: ``.nii.gz``, ``.stl`` …"""
    name = Path(path).name.lower()
    return next((s for s in DOUBLE_SUFFIXES if name.endswith(s)), Path(name).suffix)


def stem(path: Path) -> str:
    """The file name without the suffix that names the format."""
    return Path(path).name[: -len(suffix(path)) or None]


def check_present(path: Path, suffixes: tuple[str, ...]) -> None:
    """SkfmError unless `path` is a file of one of the types, with something in it."""
    if not path.is_file():
        raise SkfmError(f"{path} does not exist", "a file", "check the name")
    check_suffix(path, suffixes)
    if path.stat().st_size == 0:
        raise unreadable(path, "it is empty")


def check_suffix(path: Path, suffixes: tuple[str, ...]) -> None:
    """SkfmError unless the name of `path` ends in one of the suffixes."""
    if suffix(path) not in suffixes:
        raise SkfmError(
            f"{path}: unknown file type {suffix(path) or '(no suffix)'}",
            " ".join(suffixes),
            "convert or rename the file",
        )


def unreadable(path: Path, reason: str = "it is damaged") -> SkfmError:
    """The error for a file that a reader gave up on.

    `reason` is this library's: what a reader says may quote a patient's data.
    """
    return SkfmError(
        f"{path} cannot be read ({reason})",
        "a whole " + suffix(path) + " file",
        "copy or export it again",
    )


def cut_short(path: Path, header: sitk.ImageFileReader) -> str:
    """Why an image file is not whole, or ""; ITK passes over cut NIfTI files.

    header  a reader that has read what the file says of itself
    """
    if suffix(path) not in (".nii", ".nii.gz"):
        return ""
    itemsize = sitk.Image([1] * 3, header.GetPixelID()).GetSizeOfPixelComponent()
    promised = NIFTI_HEADER + itemsize * math.prod(header.GetSize())
    held = path.stat().st_size
    try:
        if suffix(path) == ".nii.gz":
            held = _unpacked_bytes(path, promised + NIFTI_EXTENSIONS)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return "the file is cut short or damaged"
    if held > promised + NIFTI_EXTENSIONS:
        return "it holds more than its header says"
    return "the file is cut short" if held < promised else ""


def _unpacked_bytes(path: Path, enough: int) -> int:
    """Bytes in a gzip file, checked by its checksum; read no further than `enough`."""
    held = 0
    with gzip.open(path) as stream:
        while (chunk := stream.read(1 << 24)) and held <= enough:
            held += len(chunk)
    return held


def nifti_floats(path: Path) -> np.ndarray:
    """The voxels of a NIfTI file as stored, 1-D; none if they are not floats."""
    with (gzip.open if suffix(path) == ".nii.gz" else open)(path, "rb") as stream:
        content = stream.read()
    order = "<" if int.from_bytes(content[:4], "little") == 348 else ">"
    kind = int(np.frombuffer(content, f"{order}i2", 1, offset=70)[0])
    start = np.frombuffer(content, f"{order}f4", 1, offset=108)[0]
    if kind not in NIFTI_FLOATS or not 0 <= start <= len(content):
        return np.empty(0)
    number = np.dtype(order + NIFTI_FLOATS[kind])
    count = (len(content) - int(start)) // number.itemsize
    return np.frombuffer(content, number, count, offset=int(start))


def _last_line(reason: object) -> str:
    return (str(reason).strip() or type(reason).__name__).splitlines()[-1]
