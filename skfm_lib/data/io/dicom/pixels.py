"""Pixels of DICOM slices in Hounsfield units."""

import tempfile
from collections import defaultdict
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from pydicom import Dataset, FileDataset
from pydicom.dataset import FileMetaDataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)
from pydicom.uid import (
    MultiFrameGrayscaleWordSecondaryCaptureImageStorage as SecondaryCapture,
)

from skfm_lib.data.io.dicom.files import EXPORT, open_dicom, read_dataset
from skfm_lib.data.io.dicom.headers import NATIVE, Slice
from skfm_lib.utils.errors import SkfmError

AIR = -1024.0  # HU beyond the edge of a slice
INT16 = np.iinfo(np.int16)
IMAGE = (  # what a decoder needs
    *("SamplesPerPixel", "PhotometricInterpretation", "NumberOfFrames", "Rows"),
    *("Columns", "BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation"),
    "PixelData",
)


def hounsfield(stack: list[tuple[Slice, Path]]) -> np.ndarray:
    """The HU (n, rows, columns) of slices of one size, each with its own rescale.

    int16, or float32 if they do not fit; uint8 for stored values of 8 bits without a
    rescale, which are no HU.  Padding is at most AIR.

    Raises:
        SkfmError: if the pixels of a slice are cut short or cannot be decoded, or if
            no rescale to HU is stated and no value is negative.
    """
    of_file = defaultdict(list)
    for k, (header, path) in enumerate(stack):
        of_file[path].append((k, header))
    values = np.empty((len(stack), *stack[0][0].shape), np.int16)
    for path, own in of_file.items():
        frames, padding = _stored(path)
        for k, header in own:
            stored = frames[header.frame]
            pixels = _rescaled(stored, header.rescale)
            if padding:
                pad = (stored >= padding[0]) & (stored <= padding[-1])
                pixels[pad] = np.minimum(pixels[pad], AIR)
            if pixels.dtype != np.int16:
                values = values.astype(np.float32, copy=False)
            values[k] = pixels
    headers = [header for header, _ in stack]
    unscaled = {header.rescale for header in headers} <= {(), (1.0, 0.0)}
    if unscaled and all(header.bits == 8 for header in headers):
        return values.astype(np.uint8)
    if any(not header.rescale for header in headers) and values.min() >= 0:
        found = "slices without a rescale to Hounsfield units, and no value is negative"
        raise SkfmError(found, "RescaleSlope and RescaleIntercept", EXPORT)
    return values


def _rescaled(stored: np.ndarray, rescale: tuple[float, ...]) -> np.ndarray:
    """stored · slope + intercept as int16, or float32 if it does not fit."""
    slope, intercept = rescale or (1.0, 0.0)
    small = max(abs(slope), abs(intercept)) <= INT16.max
    if small and slope.is_integer() and intercept.is_integer():
        exact = stored.astype(np.int64) * int(slope) + int(intercept)
        if INT16.min <= exact.min() and exact.max() <= INT16.max:
            return exact.astype(np.int16)
    with np.errstate(over="ignore"):  # infinite values are refused with all others
        return (stored * slope + intercept).astype(np.float32)


def _stored(path: Path) -> tuple[np.ndarray, tuple[int, ...]]:
    """The stored values (frames, rows, columns) of a file, and those of its padding."""
    try:
        with open_dicom(path) as stream:
            data = read_dataset(stream)
        frames = int(data.get("NumberOfFrames") or 1)
        native = data.file_meta.get("TransferSyntaxUID") in NATIVE
        pixels = _native(data) if native else _decoded(data)
        pixels = pixels.reshape(frames, data.Rows, data.Columns)
        return pixels, _padding(data, pixels.dtype)
    except (MemoryError, SkfmError):
        raise
    except Exception as reason:  # pydicom raises many types for damaged files
        found = "the pixels of a slice are cut short or damaged"
        raise SkfmError(found, "complete files", EXPORT) from reason


def _native(data: FileDataset) -> np.ndarray:
    # The syntax that was read, whatever the file's meta header states.
    implicit, little = data.original_encoding
    plain = ExplicitVRLittleEndian if little else ExplicitVRBigEndian
    data.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else plain
    return data.pixel_array


def _decoded(data: FileDataset) -> np.ndarray:
    """Pixels decompressed by GDCM, from a file that holds nothing else."""
    image = Dataset()
    image.SOPClassUID, image.SOPInstanceUID = SecondaryCapture, generate_uid()
    for keyword in IMAGE:
        if keyword in data:
            image[keyword] = data[keyword]
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = data.file_meta.TransferSyntaxUID
    with tempfile.TemporaryDirectory(prefix="skfm-") as folder:
        path = Path(folder) / "image.dcm"
        image.save_as(path, enforce_file_format=True)
        decoded = sitk.ReadImage(str(path), imageIO="GDCMImageIO")
        return sitk.GetArrayFromImage(decoded)


def _padding(data: FileDataset, dtype: np.dtype) -> tuple[int, ...]:
    """The lowest and highest stored value of pixels without a measurement, or ()."""
    value = data.get("PixelPaddingValue")
    if value is None:
        return ()
    limits = np.array([value, data.get("PixelPaddingRangeLimit", value)])
    low, high = sorted(limits.astype(np.int64).astype(dtype).tolist())
    return low, high
