"""Whether a volume's file is complete, and its image a usable scan of a head.

ITK accepts NIfTI files that are cut short, NRRD and MetaImage files with damaged gzip
data, and NaN; these are checked here.
"""

import gzip
import math
import re
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import IO

import numpy as np
import SimpleITK as sitk

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix

SPACING_LIMITS = (0.05, 10.0)  # mm: micro-CT to the thickest clinical slices
EXTENT_LIMITS = (50.0, 600.0)  # mm: part of a skull to a full gantry's field of view
THICK, UNEVEN = 3.0, 2.0  # mm, and times the smallest side: voxels too long for walls
MOST_VOXELS = 300_000_000  # 512×512×1100
ORTHOGONAL = 1e-3  # largest scalar product of two axes at right angles

NIFTI = (".nii", ".nii.gz")
NIFTI_HEADER = 352  # bytes before the voxels, NIfTI-1 standard
NIFTI_FLOATS = {16: "f4", 64: "f8"}  # NIfTI-1 data types
SLACK = 1 << 24  # bytes that may lie between header and voxels, or behind them
CHUNK = 1 << 22  # bytes
HEADER = 1 << 16  # bytes that hold the header of an NRRD or MetaImage file
DATA_FILE = re.compile(r"^(?:ElementDataFile *=|data ?file:) *(.*?)\s*$", re.I | re.M)
PACKED = re.compile(r"^(?:CompressedData *= *True|encoding: *gz(?:ip)?)\b", re.I | re.M)
ONE_VOLUME = "export the complete series as one volume"
GZIP_OR_ZLIB = 47  # zlib's wbits for: detect either format by its first bytes


def check_data_files(path: Path) -> None:
    """SkfmError if a header names files of voxels other than one beside it."""
    names = [] if suffix(path) in NIFTI else _data_files(path)
    for name in names:
        if "/" in name or "\\" in name or "%" in name or name.startswith("LIST"):
            found = f"{path}: its voxels are in several files or in another folder"
            raise SkfmError(found, "one file of voxels beside the header", ONE_VOLUME)


def check_header(path: Path, header: sitk.ImageFileReader) -> None:
    """SkfmError unless the header announces a 3-D image of at most MOST_VOXELS."""
    size, values = header.GetSize(), header.GetNumberOfComponents()
    if len(size) != 3 or values != 1 or min(size) < 2:
        found = f"{path}: an image of {times(size)} voxels, {values} value(s) each"
        raise SkfmError(found, "a 3-D scan with one value per voxel", ONE_VOLUME)
    if math.prod(size) > MOST_VOXELS:
        expected = f"at most {MOST_VOXELS:,} voxels"
        remedy = "crop the scan to the head, or resample it to 0.5 mm"
        raise SkfmError(f"{path}: {times(size)} voxels", expected, remedy)


def truncation(path: Path, header: sitk.ImageFileReader) -> str:
    """How the voxels of a file differ from what its header announces, or ""."""
    itemsize = sitk.Image([1] * 3, header.GetPixelID()).GetSizeOfPixelComponent()
    announced = itemsize * math.prod(header.GetSize())
    try:
        stored = _stored_bytes(path, announced + SLACK)
    except (EOFError, gzip.BadGzipFile, zlib.error):
        return "the file is cut short or damaged"
    if stored is None:
        return ""
    if stored > announced + SLACK:
        return "it holds more than its header says"
    return "the file is cut short" if stored < announced else ""


def check_scan(path: Path, image: sitk.Image) -> None:
    """SkfmError for skew axes, 8-bit grey values and sizes that no head scan has."""
    axes = np.array(image.GetDirection()).reshape(3, 3)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=ORTHOGONAL):
        found = f"{path}: its axes are not at right angles"
        remedy = "resample it, as `dcm2niix` does for a tilted gantry"
        raise SkfmError(found, "a scan on a rectangular grid", remedy)
    if image.GetPixelID() in (sitk.sitkInt8, sitk.sitkUInt8):
        grey = np.unique(sitk.GetArrayViewFromImage(image)[::2, ::2, ::2])
        if len(grey) > 2:  # no mask, but Hounsfield units that overflowed
            span = f"{grey[0]} to {grey[-1]}"
            found = f"{path}: {len(grey)} grey values of 8 bits, {span}"
            expected = "Hounsfield units, which need 16 bits, or a mask of two values"
            raise SkfmError(found, expected, "export the scan again with 16 bits")
    spacing = np.array(image.GetSpacing())
    for name, values, (low, high) in (
        ("voxels", spacing, SPACING_LIMITS),
        ("a field of view", spacing * image.GetSize(), EXTENT_LIMITS),
    ):
        if not (low <= values.min() and values.max() <= high):
            found = f"{path}: {name} of {times(values)} mm"
            expected = f"{low:g}–{high:g} mm along every axis"
            remedy = "check the file's spacing: its unit must be the millimetre"
            raise SkfmError(found, expected, remedy)
    if spacing.max() > max(THICK, UNEVEN * spacing.min()):
        found = f"{path}: slices {spacing.max():.2g} mm apart"
        expected = f"at most {THICK:g} mm, for the walls of a skull"
        raise SkfmError(found, expected, "take the thin slices of the same scan")


def times(values: Iterable[float]) -> str:
    """Sizes as text: 512×512×300."""
    return "×".join(f"{v:.4g}" for v in values)


def nifti_floats(path: Path) -> np.ndarray:
    """The voxels of a NIfTI file as stored, 1-D; empty if they are not floats."""
    with (gzip.open if suffix(path) == ".nii.gz" else open)(path, "rb") as stream:
        content = stream.read()
    order = "<" if int.from_bytes(content[:4], "little") == 348 else ">"
    kind = int(np.frombuffer(content, f"{order}i2", 1, offset=70)[0])
    start = np.frombuffer(content, f"{order}f4", 1, offset=108)[0]
    if kind not in NIFTI_FLOATS or not 0 <= start <= len(content):
        return np.empty(0)
    dtype = np.dtype(order + NIFTI_FLOATS[kind])
    count = (len(content) - int(start)) // dtype.itemsize
    return np.frombuffer(content, dtype, count, offset=int(start))


def _stored_bytes(path: Path, most: int) -> int | None:
    """Bytes of voxels, counted up to `most`; None where ITK counts them itself."""
    if suffix(path) == ".nii":
        return path.stat().st_size - NIFTI_HEADER
    if suffix(path) == ".nii.gz":
        total = 0
        with gzip.open(path) as stream:
            while total <= most and (chunk := stream.read(CHUNK)):
                total += len(chunk)
        return total
    text, start = _header(path)
    if not PACKED.search(text):
        return None
    beside = _data_files(path)
    with (path.with_name(beside[0]) if beside else path).open("rb") as file:
        file.seek(0 if beside else start)
        return _inflated_bytes(file, most)


def _inflated_bytes(file: IO[bytes], most: int) -> int:
    """Bytes in a compressed stream; EOFError or zlib.error where it is damaged."""
    packed, total = zlib.decompressobj(GZIP_OR_ZLIB), 0
    while total <= most and not packed.eof:
        data = packed.unconsumed_tail or file.read(CHUNK)
        if not data:
            raise EOFError
        total += len(packed.decompress(data, CHUNK))
    return total


def _data_files(path: Path) -> list[str]:
    """The files of voxels that an NRRD or MetaImage header names, besides itself."""
    names = DATA_FILE.findall(_header(path)[0])
    return [name for name in names if name.upper() != "LOCAL"]


def _header(path: Path) -> tuple[str, int]:
    """The header of an NRRD or MetaImage file as text, and its length in bytes."""
    with path.open("rb") as stream:
        content = stream.read(HEADER)
    nrrd = path.suffix.lower() in (".nrrd", ".nhdr")
    end = re.search(rb"\n\r?\n" if nrrd else rb"(?mi)^ElementDataFile.*\n", content)
    length = end.end() if end else len(content)
    return content[:length].decode("latin-1"), length
