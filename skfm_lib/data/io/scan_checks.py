"""Whether a volume's file is complete, and its image a usable scan of a head.

ITK accepts NRRD and MetaImage files with damaged gzip data, and NaN; these are checked
here.
"""

import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.grids import skew
from skfm_lib.data.io.volume_formats import text_headers
from skfm_lib.data.io.volume_formats.text_headers import ONE_VOLUME
from skfm_lib.utils.errors import SkfmError

SPACING_LIMITS = (0.05, 10.0)  # mm: micro-CT to the thickest clinical slices
EXTENT_LIMITS = (50.0, 600.0)  # mm: part of a skull to a full gantry's field of view
THICK, UNEVEN = 3.0, 2.0  # mm, and times the smallest side: voxels too long for walls
STEEPEST = 45.0  # degrees from right angles; gantries tilt by 30 at most
MOST_VOXELS = 300_000_000  # 512×512×1100

SLACK = 1 << 24  # bytes that may lie between header and voxels, or behind them
CHUNK = 1 << 22  # bytes
GZIP_OR_ZLIB = 47  # zlib's wbits for: detect either format by its first bytes


def check_layout(path: Path, size: Sequence[int], values: int) -> None:
    """SkfmError unless an image is 3-D and has at most MOST_VOXELS, one value each."""
    if len(size) != 3 or values != 1 or min(size) < 2:
        found = f"{path}: an image of {times(size)} voxels, {values} value(s) each"
        raise SkfmError(found, "a 3-D scan with one value per voxel", ONE_VOLUME)
    if math.prod(size) > MOST_VOXELS:
        expected = f"at most {MOST_VOXELS:,} voxels"
        remedy = "crop the scan to the head, or resample it to 0.5 mm"
        raise SkfmError(f"{path}: {times(size)} voxels", expected, remedy)


def truncation(path: Path, header: sitk.ImageFileReader, text: str) -> str:
    """How voxels packed in an NRRD or MetaImage file differ from its header, or "".

    ITK itself counts those that are not packed.
    """
    if not text_headers.PACKED.search(text):
        return ""
    itemsize = sitk.Image([1] * 3, header.GetPixelID()).GetSizeOfPixelComponent()
    values = math.prod(header.GetSize()) * header.GetNumberOfComponents()
    announced = itemsize * values
    beside = text_headers.data_files(text)
    try:
        with (path.with_name(beside[0]) if beside else path).open("rb") as file:
            file.seek(0 if beside else text_headers.read_header(path)[1])
            stored, packed = _inflated_bytes(file, announced + SLACK)
    except (EOFError, OSError, zlib.error):
        return "the file is cut short or damaged"
    if stored > announced + SLACK:
        return "it holds more than its header says"
    if stored < announced:
        return "the file is cut short"
    # ITK would leave voxels as they were in memory.
    stated = text_headers.packed_size(text)
    if not beside and stated is not None and stated != packed:
        return "its CompressedDataSize is not that of its voxels"
    return ""


def check_geometry(path: Path, image: sitk.Image) -> None:
    """SkfmError for sizes that no head scan has, and axes that no gantry has."""
    if (angle := skew(image)) > STEEPEST:
        found = f"{path}: its axes are {angle:.0f}° from right angles"
        raise SkfmError(found, "a scan on a rectangular grid", "export it again")
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


def check_values(path: Path, image: sitk.Image) -> None:
    """SkfmError for grey values of 8 bits, and for values that are not finite."""
    values = sitk.GetArrayViewFromImage(image)
    if values.dtype.itemsize == 1:
        grey = np.unique(values[::2, ::2, ::2])
        if len(grey) > 2:
            span = f"{grey[0]} to {grey[-1]}"
            found = f"{path}: grey values of 8 bits ({span}), no Hounsfield units"
            expected = "a CT with 16 bits, or a mask of bone (two values)"
            remedy = "export the CT itself, not a picture of it; an MR cannot be used"
            raise SkfmError(found, expected, remedy)
    if count := not_finite(image):
        found = f"{path}: {count} voxels are NaN or infinite"
        remedy = "export the scan again, or fill them (air is −1000 HU)"
        raise SkfmError(found, "finite values in every voxel", remedy)


def not_finite(image: sitk.Image) -> int:
    """Number of NaN or infinite voxels."""
    values = sitk.GetArrayViewFromImage(image)
    return int((~np.isfinite(values)).sum()) if values.dtype.kind == "f" else 0


def _inflated_bytes(file: IO[bytes], most: int) -> tuple[int, int]:
    """Bytes in a compressed stream, unpacked and packed.

    EOFError or zlib.error where it is damaged.
    """
    packed, total, start = zlib.decompressobj(GZIP_OR_ZLIB), 0, file.tell()
    while total <= most and not packed.eof:
        data = packed.unconsumed_tail or file.read(CHUNK)
        if not data:
            raise EOFError
        total += len(packed.decompress(data, CHUNK))
    return total, file.tell() - start - len(packed.unused_data)
