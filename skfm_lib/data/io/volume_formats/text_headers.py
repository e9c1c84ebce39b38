"""What the text headers of NRRD and MetaImage files say and ITK does not pass on."""

import re
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.grids import add_note, set_affine
from skfm_lib.utils import files
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix

HEADER = 1 << 20  # bytes that hold the header; Slicer's of 100 segments has 50,000
ONE_VOLUME = "export the complete series as one volume"
NRRD = (".nrrd", ".nhdr")
DATA_FILE = re.compile(r"^(?:ElementDataFile *=|data ?file:) *(.*?)\s*$", re.I | re.M)
PACKED = re.compile(r"^(?:CompressedData *= *True|encoding: *gz(?:ip)?)\b", re.I | re.M)
META_SIZE = re.compile(r"^Element(?:Spacing|Size)\s*=", re.M)
VECTOR = re.compile(r"\(([^()]*)\)")
LENGTHS = {  # mm, of what NRRD headers call units of length
    r"mm|milli(meters?|metres?)": 1.0,
    r"cm|centi(meters?|metres?)": 10.0,
    r"m|meters?|metres?": 1000.0,
    r"[µμ\ufffdu]m|microns?|micro(meters?|metres?)": 1e-3,  # µ in two codings
    r"nm|nano(meters?|metres?)": 1e-6,
    r"in|inch|inches": 25.4,
}


def read_header(path: Path) -> tuple[str, int]:
    """The header as text, and its length in bytes."""
    with path.open("rb") as stream:
        content = stream.read(HEADER)
    is_nrrd = suffix(path) in NRRD
    end = re.search(rb"\n\r?\n" if is_nrrd else rb"(?mi)^ElementDataFile.*\n", content)
    length = end.end() if end else len(content)
    return content[:length].decode("utf-8", "replace"), length


def data_files(header: str) -> list[str]:
    """The files of voxels that a header names, besides its own."""
    return [name for name in DATA_FILE.findall(header) if name.upper() != "LOCAL"]


def check_data_files(path: Path, header: str) -> None:
    """SkfmError if a header names files of voxels other than one beside it."""
    for name in data_files(header):
        if "/" in name or "\\" in name or "%" in name or name.startswith("LIST"):
            found = f"{path}: its voxels are in several files or in another folder"
            raise SkfmError(found, "one file of voxels beside the header", ONE_VOLUME)
        if not path.with_name(name).is_file():
            found = f"{path}: the file of voxels that it names is not beside it"
            remedy = "put it there; it may have been renamed"
            raise SkfmError(found, "both files in one folder", remedy)


def check_states_size(path: Path, header: str, spacing: tuple[float, ...]) -> None:
    """SkfmError unless the header states the size of voxels; ITK takes 1 mm.

    `spacing` is what ITK reads.
    """
    if suffix(path) in NRRD:
        # Of an axis that is no space, such as a list, they are none or NaN.
        vectors = VECTOR.findall(_field(header, "space directions"))
        sizes = vectors or _field(header, "spacings").split()
        stated = sum(map(_are_finite, sizes)) >= 3
    else:
        stated = bool(META_SIZE.search(header))
    if not (stated and all(0 < mm < np.inf for mm in spacing)):
        expected = "the size of its voxels in mm"
        remedy = "export it again, with its geometry"
        raise SkfmError(f"{path} does not state how large voxels are", expected, remedy)


def unreadable(path: Path, header: str) -> SkfmError:
    """The error for a file that ITK cannot read: it lacks a decoder, or is damaged."""
    if _field(header, "encoding").lower() in ("bz2", "bzip2"):
        found = f"{path} is packed with bzip2"
        return SkfmError(found, "voxels that are raw or packed with gzip", "save it so")
    if (axes := _field(header, "dimension")) in ("4", "5"):
        return SkfmError(f"{path}: an image of {axes} axes", "3 axes", ONE_VOLUME)
    return files.unreadable(path)


def complete_geometry(image: sitk.Image, header: str) -> None:
    """Axes of length 1, which MetaImage need not have, and mm by the units of NRRD.

    ITK ignores these.  "space units" are those of the space's axes; "units", without
    space directions, those of the grid's.  What is no unit of length is taken as mm,
    and noted.
    """
    matrix = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    origin = np.array(image.GetOrigin())
    if mm := _units(image, _field(header, "space units")):
        matrix, origin = np.diag(mm) @ matrix, np.array(mm) * origin
    elif not _field(header, "space directions"):
        matrix = matrix * (_units(image, _field(header, "units")) or 1.0)
    set_affine(image, matrix, origin)


def _units(image: sitk.Image, stated: str) -> list[float]:
    """The units of three axes in mm; [] if they are not stated."""
    units = [u.strip().lower() for u in re.findall(r'"([^"]*)"', stated) if u.strip()]
    if len(units) != 3:
        return []
    known = [
        [mm for name, mm in LENGTHS.items() if re.fullmatch(name, u)] for u in units
    ]
    if not all(known):
        add_note(image, "unknown unit of length: taken as mm")
    return [mm[0] if mm else 1.0 for mm in known]


def packed_size(header: str) -> int | None:
    """CompressedDataSize of a MetaImage header: 0 if missing, None for an NRRD."""
    if not META_SIZE.search(header):
        return None
    found = re.search(r"(?m)^CompressedDataSize *= *(\d+)", header)
    return int(found[1]) if found else 0


def says_which_side_is_left(header: str) -> bool:
    """Whether an NRRD header relates its axes to the patient's."""
    space = _field(header, "space").lower()
    return space[:3] in ("ras", "las", "lps") or "superior" in space


def _field(header: str, name: str) -> str:
    found = re.search(rf"(?mi)^{name}:\s*(.*?)\s*$", header)
    return found[1] if found else ""


def _are_finite(numbers: str) -> bool:
    """Whether numbers separated by commas or spaces are that, and finite."""
    try:
        values = [float(n) for n in re.split(r"[,\s]+", numbers.strip())]
    except ValueError:
        return False
    return bool(np.isfinite(values).all())
