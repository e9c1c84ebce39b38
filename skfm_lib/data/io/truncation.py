"""Whether a volume's file holds all that its header promises.

ITK passes over NIfTI files that are cut short, over damaged gzip in NRRD and
MetaImage, and over NaN: what it does not look at is looked at here.
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import SimpleITK as sitk

from skfm_lib.utils.files import suffix

NIFTI = (".nii", ".nii.gz")
NIFTI_HEADER = 352  # bytes before the voxels, NIfTI-1 standard
NIFTI_FLOATS = {16: "f4", 64: "f8"}  # NIfTI-1 data types
SLACK = 1 << 24  # bytes that may lie between header and voxels, or behind them
CHUNK = 1 << 22  # bytes
HEADER = 1 << 16  # bytes that hold the header of an NRRD or MetaImage file
ELSEWHERE = re.compile(r"^(?:ElementDataFile *=|data ?file:) *(.*?)\s*$", re.I | re.M)
PACKED = re.compile(r"^(?:CompressedData *= *True|encoding: *gz(?:ip)?)\b", re.I | re.M)
GZIP_OR_ZLIB = 47  # zlib's number for: either, told by the first bytes


def cut_short(path: Path, header: sitk.ImageFileReader) -> str:
    """Why an image file is not whole, or "".

    header  a reader that has read what the file says of itself
    """
    itemsize = sitk.Image([1] * 3, header.GetPixelID()).GetSizeOfPixelComponent()
    promised = itemsize * math.prod(header.GetSize())
    try:
        held = _held(path, promised)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return "the file is cut short or damaged"
    if held is None:
        return ""
    if held > promised + SLACK:
        return "it holds more than its header says"
    return "the file is cut short" if held < promised else ""


def elsewhere(path: Path) -> list[str]:
    """The names that an NRRD or MetaImage header gives for its files of voxels."""
    names = ELSEWHERE.findall(_header(path)[0])
    return [name for name in names if name.upper() != "LOCAL"]


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


def _held(path: Path, promised: int) -> int | None:
    """Bytes of voxels in the file, or None where ITK counts them itself."""
    if suffix(path) == ".nii":
        return path.stat().st_size - NIFTI_HEADER
    if suffix(path) == ".nii.gz":
        with gzip.open(path) as stream:
            return _count(iter(lambda: stream.read(CHUNK), b""), promised)
    text, start = _header(path)
    if not PACKED.search(text):
        return None
    beside = elsewhere(path)
    with path.with_name(beside[0]).open("rb") if beside else path.open("rb") as file:
        file.seek(0 if beside else start)
        return _count(_inflated(file), promised)


def _header(path: Path) -> tuple[str, int]:
    """The header of an NRRD or MetaImage file as text, and its length in bytes."""
    with path.open("rb") as stream:
        content = stream.read(HEADER)
    if path.suffix.lower() in (".nrrd", ".nhdr"):
        end = re.search(rb"\n\r?\n", content)
    else:
        end = re.search(rb"^ElementDataFile.*\n", content, re.M | re.I)
    length = end.end() if end else len(content)
    return content[:length].decode("latin-1"), length


def _inflated(file: BinaryIO) -> Iterator[bytes]:
    """The chunks of a packed stream; EOFError or zlib.error where it is damaged."""
    packed = zlib.decompressobj(GZIP_OR_ZLIB)
    while not packed.eof:
        data = packed.unconsumed_tail or file.read(CHUNK)
        if not data:
            raise EOFError
        yield packed.decompress(data, CHUNK)


def _count(chunks: Iterator[bytes], promised: int) -> int:
    """Bytes in the chunks, all of them unless they are far more than promised."""
    total = 0
    for chunk in chunks:
        total += len(chunk)
        if total > promised + SLACK:
            break
    return total
