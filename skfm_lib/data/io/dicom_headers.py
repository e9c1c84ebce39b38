"""Headers of DICOM slices, and the choice among the series of a study."""

import io
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pydicom

from skfm_lib.utils.errors import SkfmError

MAGIC = b"DICM"  # at byte 128, DICOM part 10
PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag, little and big endian
UNDEFINED = 0xFFFFFFFF  # length of compressed pixels
DECODED = ("JPEG", "RLE")  # families of transfer syntaxes that GDCM decodes
THIN = 1.3  # mm between slices, for the walls of orbits and sinuses; CQ500: 0.625
FULL = 100.0  # mm along the normal: more than scans of the inner ears or the orbits
CONTRAST = ("post", "contrast", "angio", "cta", "c+", "c/c", "d3d")
PLAIN = ("plain", "pre-contrast", "pre contrast", "non-contrast", "without")
ANONYMOUS = ("", "0", "anonymous", "anonymized", "anon", "unknown", "none", "patient")
LAYOUT = [
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "SamplesPerPixel"),
]
TAGS = [
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    *("Modality", "ImageType", "SeriesDescription", "ContrastBolusAgent"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *LAYOUT,
]


@dataclass(frozen=True)
class Slice:
    """The header of one DICOM file; () stands for numbers that it does not state."""

    patient: str  # identifiers, used for grouping only and never written
    study: str
    series: str
    instance: str
    modality: str
    scout: bool
    plain: bool  # without contrast agent, as far as the header states
    position: tuple[float, ...]  # centre of the first voxel, mm in LPS
    axes: tuple[float, ...]  # directions of rows and columns, 6 numbers
    spacing: tuple[float, ...]  # between rows and between columns, mm
    layout: tuple  # everything that the slices of one series have in common
    frames: int
    decodable: bool
    end: int  # byte where the pixels end; 0 if it is not stated, −1 without pixels

    @property
    def normal(self) -> np.ndarray:
        """Unit vector from slice to slice, right-handed with the axes."""
        return np.cross(self.axes[:3], self.axes[3:])

    @property
    def offset(self) -> float:
        """Position along the normal, mm; InstanceNumber may be in any order."""
        return float(np.dot(self.position, self.normal))


def read_slice(source: Path | bytes) -> Slice | None:
    """The header of a file, or of its first bytes; None if it is no DICOM file.

    SkfmError if the header is damaged.
    """
    stream = io.BytesIO(source) if isinstance(source, bytes) else source.open("rb")
    with stream, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # they quote the header
        if stream.read(132)[128:] != MAGIC:
            return None
        stream.seek(0)
        try:
            data = pydicom.dcmread(stream, stop_before_pixels=True, specific_tags=TAGS)
            return _slice(data, _pixels_end(stream, data))
        except MemoryError:
            raise
        except Exception as reason:  # pydicom raises many types for damaged files
            found, remedy = "a damaged slice", "export the series again"
            raise SkfmError(found, "complete files", remedy) from reason


def choose_series(slices: Iterable[Slice]) -> tuple[list[Slice], str]:
    """The slices of the series of one study to use, and why, without identifiers.

    CT only, no scouts.  Series of a full head are preferred, then thin slices (THIN),
    no contrast agent, the longest extent, the finest spacing.  The list is empty if
    no series is a CT with positions; the text then gives the reason.
    """
    series = defaultdict(list)
    for header in slices:
        series[header.series].append(header)
    usable = [own for own in series.values() if _usable(own)]
    if not usable:
        kinds = Counter(own[0].modality for own in series.values())
        found = ", ".join(f"{n} of modality {kind}" for kind, n in kinds.items())
        return [], f"no series of CT slices ({found})"
    chosen = max(usable, key=_rank)
    if len(series) == 1:
        return chosen, ""
    others = Counter(_why_not(own, chosen) for own in usable if own is not chosen)
    others["no CT or a scout"] = len(series) - len(usable)
    plain, extent, spacing = _measures(chosen)
    named = ", ".join(f"{n} {why}" for why, n in others.items() if n)
    return chosen, (
        f"of {len(series)} series the one with slices every {spacing:.2g} mm over "
        f"{extent:.0f} mm, {'plain' if plain else 'contrast'}; not {named}"
    )


def _measures(own: list[Slice]) -> tuple[bool, float, float]:
    """Whether a series is plain, its extent along the normal and its spacing, mm."""
    offsets = np.unique(np.round([s.offset for s in own], 3))
    spacing = np.median(np.diff(offsets)) if len(offsets) > 1 else np.inf
    return own[0].plain, float(np.ptp(offsets)), float(spacing)


def _rank(own: list[Slice]) -> tuple[bool, bool, bool, int, float]:
    plain, extent, spacing = _measures(own)
    return extent >= FULL, spacing <= THIN, plain, round(extent / 10), -spacing


def _why_not(own: list[Slice], chosen: list[Slice]) -> str:
    plain, extent, spacing = _measures(own)
    best_plain, best_extent, best_spacing = _measures(chosen)
    if best_plain and not plain:
        return "with contrast"
    if spacing > 1.05 * best_spacing:
        return "with thicker slices"
    return "shorter" if extent < best_extent - 10 else "much the same"


def _usable(own: list[Slice]) -> bool:
    ct = own[0].modality == "CT" and not own[0].scout and own[0].end >= 0
    return ct and all(s.axes and s.position for s in own)


def _slice(data: pydicom.Dataset, end: int) -> Slice:
    axes = _numbers(data.get("ImageOrientationPatient"), 6)
    spacing = _numbers(data.get("PixelSpacing"), 2)
    patient = str(data.get("PatientID", "")).strip()
    study, modality = (
        str(data.get("StudyInstanceUID", "")),
        str(data.get("Modality", "")),
    )
    valid = modality.isalnum() and len(modality) <= 4  # otherwise it may name a person
    syntax = data.file_meta.TransferSyntaxUID
    common = [tuple(np.round(axes, 4)), tuple(np.round(spacing, 4))]
    return Slice(
        patient=study if patient.lower() in ANONYMOUS else patient,
        study=study,
        series=str(data.get("SeriesInstanceUID", "")),
        instance=str(data.get("SOPInstanceUID", "")),
        modality=modality if valid else "none",
        scout="LOCALIZER" in str(data.get("ImageType", "")).upper(),
        plain=_plain(data),
        position=_numbers(data.get("ImagePositionPatient"), 3),
        axes=axes,
        spacing=spacing,
        layout=(*common, *(data.get(tag) for tag in LAYOUT)),
        frames=int(data.get("NumberOfFrames", 1) or 1),
        decodable=not syntax.is_compressed or syntax.name.startswith(DECODED),
        end=end,
    )


def _plain(data: pydicom.Dataset) -> bool:
    words = str(data.get("SeriesDescription", "")).lower()
    agent = str(data.get("ContrastBolusAgent") or "").strip()
    if any(word in words for word in PLAIN):
        return True
    return not agent and not any(word in words for word in CONTRAST)


def _numbers(value: Any, count: int) -> tuple[float, ...]:
    """A DICOM value as `count` finite numbers, or ()."""
    numbers = tuple(float(v) for v in value) if value is not None else ()
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else ()


def _pixels_end(stream: IO[bytes], data: pydicom.Dataset) -> int:
    """See `Slice.end`; the stream is just before the pixels."""
    element = stream.read(12)
    if element[:4] not in PIXELS:
        return -1
    order: Literal["big", "little"] = "big" if element[:1] == b"\x7f" else "little"
    if data.file_meta.TransferSyntaxUID.is_implicit_VR:
        return stream.tell() - 4 + int.from_bytes(element[4:8], order)
    length = int.from_bytes(element[8:], order)
    return 0 if length == UNDEFINED else stream.tell() + length
