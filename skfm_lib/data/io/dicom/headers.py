"""Headers of DICOM slices: one for each file, or for each frame of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydicom import Dataset, FileDataset
from pydicom.uid import (
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

from skfm_lib.data.io.dicom.files import Stream, open_dicom, read_dataset
from skfm_lib.utils.errors import SkfmError

FARTHEST = 1e6  # mm, from the origin of a scanner's coordinates
PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag, little and big endian
NATIVE = (  # transfer syntaxes with pixels as they are; None: not stated, see pydicom
    *(None, ImplicitVRLittleEndian, ExplicitVRLittleEndian),
    *(ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian),
)
DECODED = (  # beginnings of the names of transfer syntaxes that GDCM decodes
    *("JPEG Baseline", "JPEG Extended", "JPEG Lossless", "JPEG-LS", "JPEG 2000"),
    "RLE",
)
CONTRAST = ("post", "contrast", "angio", "cta", "c+", "c/c", "d3d")
PLAIN = ("plain", "pre-contrast", "pre contrast", "non-contrast", "without")
ANONYMOUS = ("", "0", "anonymous", "anonymized", "anon", "unknown", "none", "patient")
CT_CLASSES = (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
)
FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
MACROS = (  # of these, DICOM part 3, C.7.6.16
    *("PlanePositionSequence", "PlaneOrientationSequence", "PixelMeasuresSequence"),
    *("PixelValueTransformationSequence", "CTImageFrameTypeSequence"),
    *("CTReconstructionSequence", "FrameContentSequence"),
)
# What tells the slices of mixed reconstructions apart, most reliable first.
RECONSTRUCTION = (
    *("FrameOfReferenceUID", "ConvolutionKernel", "StackID", "TemporalPositionIndex"),
    *("ImageType", "FrameType", "AcquisitionNumber", "FrameAcquisitionNumber"),
    *("ContrastBolusAgent", "SliceThickness", "AcquisitionTime"),
)
TAGS = [
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    *("SOPClassUID", "Modality", "SeriesDescription", "SamplesPerPixel"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated"),
    *("RescaleSlope", "RescaleIntercept"),
    *RECONSTRUCTION,
    *FRAMES,
]


@dataclass(frozen=True)
class Slice:
    """The header of one slice; () stands for numbers that it does not state."""

    patient: str  # identifiers, used for grouping only and never written
    study: str
    series: str
    instance: str
    frame: int  # in its file, from 0
    frames: int
    modality: str  # CT for a slice; otherwise that of the object, or what it is
    scout: bool
    plain: bool  # without contrast agent, as far as the header states
    position: tuple[float, ...]  # centre of the first voxel, mm in LPS
    axes: tuple[float, ...]  # directions of rows and columns, 6 numbers
    spacing: tuple[float, ...]  # between rows and between columns, mm
    shape: tuple[int, int]  # rows, columns
    reconstruction: tuple[str, ...]  # see RECONSTRUCTION
    rescale: tuple[float, ...]  # slope and intercept
    bits: int  # allocated
    decodable: bool
    pixels: bool

    @property
    def lacking(self) -> str:
        """What of its geometry the header does not state; "" for nothing."""
        if not (self.position and self.axes):
            return "position"
        return "" if self.spacing else "pixel spacing"

    @property
    def frame_of_reference(self) -> str:
        """Identifier of the coordinates that its position is in."""
        return self.reconstruction[0]

    @property
    def normal(self) -> np.ndarray:
        """Unit vector from slice to slice, right-handed with the axes."""
        return np.cross(self.axes[:3], self.axes[3:])

    @property
    def centre(self) -> np.ndarray:
        """The middle of the slice, mm in LPS."""
        half = (np.array(self.shape) - 1) / 2 * self.spacing
        return np.array(self.position) + half[::-1] @ np.reshape(self.axes, (2, 3))


def read_slices(source: Path | bytes) -> list[Slice]:
    """The headers in a file, or in its first bytes: one for each frame.

    Empty if it is no DICOM file.  SkfmError if the header is damaged.
    """
    try:
        with open_dicom(source) as stream:
            if stream is None:
                return []
            data = read_dataset(stream, TAGS)
            return list(_slices(data, _pixels_follow(stream)))
    except (MemoryError, SkfmError):
        raise
    except Exception as reason:  # pydicom raises many types for damaged files
        found, remedy = "a damaged slice", "export the series again"
        raise SkfmError(found, "complete files", remedy) from reason


def _slices(data: FileDataset, pixels: bool) -> Iterator[Slice]:
    frames = int(data.get("NumberOfFrames") or 1)
    shared, groups = (data.get(keyword) or [Dataset()] for keyword in FRAMES)
    if _modality(data) != "CT":
        groups, frames = [Dataset()], 1
    if len(groups) not in (1, frames):
        raise ValueError("frames and their headers differ in number")
    # Several frames with one header do not state where each of them is.
    for number, group in enumerate(groups):
        own = Dataset()
        for macro in MACROS:
            item = group.get(macro) or shared[0].get(macro) or [Dataset()]
            own.update(item[0])
        yield _slice(data, own, pixels, number, frames)


def _slice(
    data: FileDataset, own: Dataset, pixels: bool, number: int, frames: int
) -> Slice:
    """The header of one frame: what its `own` macros state, otherwise its file."""

    def get(keyword: str) -> Any:
        return own.get(keyword, data.get(keyword))

    patient = str(data.get("PatientID", "")).strip().casefold()
    rescale = get("RescaleSlope"), get("RescaleIntercept")
    spacing = _numbers(get("PixelSpacing"), 2)
    syntax = data.file_meta.get("TransferSyntaxUID")
    decodable = syntax in NATIVE or syntax.name.startswith(DECODED)
    return Slice(
        patient="" if patient in ANONYMOUS else patient,
        study=str(data.get("StudyInstanceUID", "")),
        series=str(data.get("SeriesInstanceUID", "")),
        instance=str(data.get("SOPInstanceUID", "")),
        frame=number,
        frames=frames,
        modality=_modality(data),
        scout="LOCALIZER" in f"{get('ImageType')} {get('FrameType')}".upper(),
        plain=_plain(data),
        position=_numbers((own.get if frames > 1 else get)("ImagePositionPatient"), 3),
        axes=_numbers(get("ImageOrientationPatient"), 6),
        spacing=spacing if spacing and min(spacing) > 0 else (),
        shape=(int(data.get("Rows") or 0), int(data.get("Columns") or 0)),
        reconstruction=tuple(str(get(keyword)) for keyword in RECONSTRUCTION),
        rescale=() if None in rescale else _numbers(rescale, 2, most=np.inf),
        bits=int(data.get("BitsAllocated") or 0),
        decodable=decodable,
        pixels=pixels,
    )


def _modality(data: FileDataset) -> str:
    """CT for what may be a slice of one; otherwise what kind of object a file holds."""
    kind = data.get("SOPClassUID") or data.file_meta.get("MediaStorageSOPClassUID")
    stated = str(data.get("Modality") or "")
    if not (kind or stated):
        raise ValueError("neither a class nor a modality")
    if kind == MediaStorageDirectoryStorage:
        return "index"
    if kind in CT_CLASSES and not stated:
        stated = "CT"
    if stated == "CT":  # pictures of the study state it, too: in colour, or nowhere
        located = kind in (None, *CT_CLASSES) or "ImagePositionPatient" in data
        return "CT" if located and data.get("SamplesPerPixel", 1) == 1 else "SC"
    valid = stated.isalnum() and (len(stated) <= 4 or stated.startswith("RT"))
    return stated if valid else "none"  # other text may name a person


def _plain(data: Dataset) -> bool:
    words = str(data.get("SeriesDescription", "")).lower()
    agent = str(data.get("ContrastBolusAgent") or "").strip()
    if any(word in words for word in PLAIN):
        return True
    return not agent and not any(word in words for word in CONTRAST)


def _numbers(value: Any, count: int, most: float = FARTHEST) -> tuple[float, ...]:
    """A DICOM value as `count` numbers of less than `most`, or ()."""
    numbers = tuple(float(v) for v in value) if value is not None else ()
    right = len(numbers) == count and all(abs(number) < most for number in numbers)
    return numbers if right else ()


def _pixels_follow(stream: Stream) -> bool:
    """Whether a stream that was read up to the pixels has any."""
    return stream.read(4) in PIXELS
