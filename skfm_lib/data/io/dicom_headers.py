"""Headers of DICOM files, and which of a patient's series is the one to use."""

import io
import warnings
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom

from skfm_lib.utils.errors import SkfmError

MAGIC = b"DICM"  # at byte 128, DICOM part 10
PIXELS = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # the tag, little and big endian
UNDEFINED = 0xFFFFFFFF  # length of compressed pixels
THIN = 1.3  # mm between slices, for the walls of orbits and sinuses; CQ500: 0.625
WHOLE = 100.0  # mm along the slices' normal: more than the inner ears or the orbits
CONTRAST = ("post", "contrast", "angio", "cta", "c+", "c/c", "d3d")
PLAIN = ("plain", "pre-contrast", "pre contrast", "non-contrast", "without")
NOBODY = ("", "0", "anonymous", "anonymized", "anon", "unknown", "none", "patient")
TAGS = [
    *("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"),
    *("Modality", "ImageType", "SeriesDescription", "ContrastBolusAgent"),
    *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing"),
    *("Rows", "Columns", "NumberOfFrames", "BitsAllocated", "PixelRepresentation"),
    *("RescaleSlope", "RescaleIntercept", "SamplesPerPixel"),
]


@dataclass(frozen=True)
class Slice:
    """What the header of one DICOM file says.

    patient, study, series, instance  identifiers, for grouping only: never written
    normal    of the slice, mm in LPS, or None where the file has no place in space
    position  of its first voxel's centre, mm in LPS
    layout    all that the slices of one series have in common
    syntax    name of the transfer syntax
    end       byte where the pixels end in a whole file; 0 if unsaid, −1 without any
    """

    patient: str
    study: str
    series: str
    instance: str
    modality: str
    scout: bool
    plain: bool
    position: tuple[float, ...] | None
    axes: tuple[float, ...] | None
    spacing: tuple[float, ...]
    layout: tuple
    frames: int
    syntax: str
    compressed: bool
    end: int

    @property
    def normal(self) -> np.ndarray:
        """Unit vector from slice to slice, as the axes have it (right-handed)."""
        return np.cross(self.axes[:3], self.axes[3:])

    @property
    def height(self) -> float:
        """Place along the normal, mm; InstanceNumber may run in any order."""
        return float(np.dot(self.position, self.normal))


def read_slice(source: Path | bytes) -> Slice | None:
    """The header of a file, or of its first bytes; None where it is no DICOM file.

    SkfmError where the header is damaged.
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
        except Exception as reason:  # pydicom raises whatever damage leads to
            remedy = "export the series again"
            raise SkfmError("a damaged slice", "whole files", remedy) from reason


def choose(slices: Iterable[Slice]) -> tuple[list[Slice], str]:
    """The slices of the series of one study to use, and why, without identifiers.

    CT only, no scouts.  Series of a whole head come first, then thin before thick
    (THIN), plain before contrast, the longest, the finest.  None, and the reason, if
    no series is a CT in space.
    """
    series = defaultdict(list)
    for piece in slices:
        series[piece.series].append(piece)
    usable = {uid: own for uid, own in series.items() if _usable(own)}
    if not usable:
        kinds = Counter(own[0].modality for own in series.values())
        found = ", ".join(f"{n} of modality {kind}" for kind, n in kinds.items())
        return [], f"no series of CT slices ({found})"
    best = max(usable, key=lambda uid: _rank(usable[uid]))
    chosen = usable.pop(best)
    if len(series) == 1:
        return chosen, ""
    left = Counter(_why_not(own, chosen) for own in usable.values())
    left.update({"no CT or a scout": len(series) - len(usable) - 1})
    _, extent, spacing = _measures(chosen)
    named = ", ".join(f"{n} {why}" for why, n in left.items() if n)
    return chosen, (
        f"of {len(series)} series the one with slices every {spacing:.2g} mm over "
        f"{extent:.0f} mm, {'plain' if chosen[0].plain else 'contrast'}; not {named}"
    )


def _usable(own: list[Slice]) -> bool:
    first = own[0]
    placed = all(s.axes is not None and s.position is not None for s in own)
    return first.modality == "CT" and not first.scout and placed and first.end >= 0


def _measures(own: list[Slice]) -> tuple[bool, float, float]:
    """Plain?, extent along the normal and spacing of a series, mm."""
    heights = np.unique(np.round([s.height for s in own], 3))
    spacing = np.median(np.diff(heights)) if len(heights) > 1 else np.inf
    return own[0].plain, float(np.ptp(heights)), float(spacing)


def _rank(own: list[Slice]) -> tuple:
    plain, extent, spacing = _measures(own)
    return extent >= WHOLE, spacing <= THIN, plain, round(extent / 10), -spacing


def _why_not(own: list[Slice], chosen: list[Slice]) -> str:
    plain, extent, spacing = _measures(own)
    best_plain, best_extent, best_spacing = _measures(chosen)
    if best_plain and not plain:
        return "with contrast"
    if spacing > 1.05 * best_spacing:
        return "with thicker slices"
    return "shorter" if extent < best_extent - 10 else "much the same"


def _slice(data: pydicom.Dataset, end: int) -> Slice:
    position = _numbers(data.get("ImagePositionPatient"), 3)
    axes = _numbers(data.get("ImageOrientationPatient"), 6)
    spacing = _numbers(data.get("PixelSpacing"), 2) or ()
    series, study = data.get("SeriesInstanceUID", ""), data.get("StudyInstanceUID", "")
    patient = str(data.get("PatientID", "")).strip()
    syntax = data.file_meta.TransferSyntaxUID
    layout = [axes and tuple(np.round(axes, 4)), tuple(np.round(spacing, 4))]
    layout += [data.get(tag) for tag in TAGS[-7:-1]]
    return Slice(
        patient=str(study) if patient.lower() in NOBODY else patient,
        study=str(study),
        series=str(series),
        instance=str(data.get("SOPInstanceUID", "")),
        modality=_kind(str(data.get("Modality", ""))),
        scout="LOCALIZER" in str(data.get("ImageType", "")).upper(),
        plain=_plain(data),
        position=position,
        axes=axes,
        spacing=spacing,
        layout=tuple(layout),
        frames=int(data.get("NumberOfFrames", 1) or 1),
        syntax=syntax.name,
        compressed=syntax.is_compressed,
        end=end,
    )


def _kind(modality: str) -> str:
    """A modality as the standard writes them, such as CT; anything else is "none"."""
    return modality if modality.isalnum() and len(modality) <= 4 else "none"


def _plain(data: pydicom.Dataset) -> bool:
    words = str(data.get("SeriesDescription", "")).lower()
    agent = str(data.get("ContrastBolusAgent") or "").strip()
    if any(word in words for word in PLAIN):
        return True
    return not agent and not any(word in words for word in CONTRAST)


def _numbers(value: object, count: int) -> tuple[float, ...] | None:
    numbers = tuple(float(v) for v in value) if value is not None else ()
    return numbers if len(numbers) == count and np.isfinite(numbers).all() else None


def _pixels_end(stream: io.BufferedIOBase, data: pydicom.Dataset) -> int:
    """See `Slice.end`; the stream stands before the pixels."""
    element = stream.read(12)
    if element[:4] not in PIXELS:
        return -1
    order = "big" if element[:1] == b"\x7f" else "little"
    if data.file_meta.TransferSyntaxUID.is_implicit_VR:
        return stream.tell() - 4 + int.from_bytes(element[4:8], order)
    length = int.from_bytes(element[8:], order)
    return 0 if length == UNDEFINED else stream.tell() + length
