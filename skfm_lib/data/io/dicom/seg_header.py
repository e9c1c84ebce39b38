"""The header of a CT series, as far as a segmentation of it takes it over."""

import numpy as np
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue
from pydicom.uid import generate_uid
from pydicom.valuerep import DA, TM

from skfm_lib.data.io.dicom.headers import Slice
from skfm_lib.data.io.dicom.stacks import offsets_of
from skfm_lib.utils.errors import SkfmError

# Attributes that the standard requires, and that may be empty.
MAY_BE_EMPTY = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "AccessionNumber"),
    *("StudyID", "StudyDate", "StudyTime", "ReferringPhysicianName"),
)
TAGS = [  # what a segmentation takes over from its series
    *("SOPClassUID", "StudyInstanceUID", "SeriesInstanceUID", "FrameOfReferenceUID"),
    *(*MAY_BE_EMPTY, "IssuerOfPatientID", "PatientAge", "StudyDescription"),
    *("PatientIdentityRemoved", "DeidentificationMethod", "PositionReferenceIndicator"),
    *("Modality", "Rows", "Columns", "PixelSpacing", "SliceThickness"),
    *("ImageOrientationPatient", "LossyImageCompression"),
    *("LossyImageCompressionRatio", "LossyImageCompressionMethod"),
]
SEXES = ("M", "F", "O")
OWN_FRAME = (
    "the scan states no frame of reference: the file refers to its slices, in a frame "
    "of reference of its own"
)
NEEDED = "a CT series as its archive sends it"
EXPORT = "export the series again, or --out FILE.nii.gz"


def check_references(first: Dataset, slices: list[Slice]) -> None:
    """SkfmError for a series without the identifiers that a segmentation refers to."""
    lacking = {
        "StudyInstanceUID": not first.get("StudyInstanceUID"),
        "SeriesInstanceUID": not all(piece.series for piece in slices),
        "SOPInstanceUID": not all(piece.instance for piece in slices),
        "SOPClassUID": not first.get("SOPClassUID"),
    }
    if names := ", ".join(name for name, lacks in lacking.items() if lacks):
        raise SkfmError(f"slices of the scan have no {names}", NEEDED, EXPORT)


def completed(first: Dataset, slices: list[Slice]) -> str:
    """Give a slice's header what a segmentation takes from it; return a note, or "".

    Old and anonymised series lack attributes, or hold what the standard does not allow.
    """
    for keyword in MAY_BE_EMPTY:
        value = first.get(keyword)
        setattr(first, keyword, value if _allowed(keyword, value) else None)
    thickness = first.get("SliceThickness")  # pydicom returns text as it is
    if not (isinstance(thickness, float) and thickness > 0):
        first.SliceThickness = float(np.median(np.diff(offsets_of(slices))))
    first.PixelSpacing, first.ImageOrientationPatient = map(
        list, (slices[0].spacing, slices[0].axes)
    )
    frames = {piece.frame_of_reference for piece in slices}
    if first.get("FrameOfReferenceUID") and len(frames) == 1:
        return ""
    seed = [first.SeriesInstanceUID, "frame of reference"]
    first.FrameOfReferenceUID = generate_uid(entropy_srcs=seed)
    return OWN_FRAME


def _allowed(keyword: str, value: object) -> bool:
    """Whether highdicom takes this value; old and anonymised series have others."""
    try:
        if keyword.endswith("Date"):
            DA(value)
        elif keyword.endswith("Time"):
            TM(value)
        elif keyword == "PatientSex":
            return value in SEXES
        return keyword != "PatientName" or not isinstance(value, MultiValue)
    except ValueError:
        return False
