"""What a volume's file is by its first bytes, whatever its name says."""

import gzip
import re
import zlib
from io import BufferedIOBase
from pathlib import Path

from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix

START = 4096  # bytes that are looked at
GZIP = b"\x1f\x8b"
NIFTI, NRRD, META = "NIfTI", "NRRD", "MetaImage"
OWN = {".nii": NIFTI, ".nii.gz": NIFTI, ".nrrd": NRRD, ".nhdr": NRRD}
OWN |= {".mha": META, ".mhd": META}
CONVERT = "convert it to NIfTI (.nii.gz)"
PAIR = "make one file of it, as FSL's fslchfiletype NIFTI_GZ does"
KINDS = (  # pattern at the beginning, kind, and what to do with a file of it
    (
        rb"(?s).{344}n\+1\0|\x5c\x02\0\0n\+2\0|\0\0\x02\x1cn\+2\0",
        NIFTI,
        "rename it .nii",
    ),
    (rb"NRRD0", NRRD, "rename it .nrrd"),
    (rb"(?s)(?:\s*\w[^\n=]*=[^\n]*\n)*?\s*NDims\s*=", META, "rename it .mha"),
    (rb"(?s).{128}DICM", "DICOM", "rename it .dcm, beside the other slices"),
    (
        rb"(?s).{344}ni1\0|\x5c\x02\0\0ni2\0|\0\0\x02\x1cni2\0",
        "the header of a NIfTI pair",
        PAIR,
    ),
    (rb"(?s)(?:\x5c\x01\0\0|\0\0\x01\x5c).{340}", "Analyze 7.5", CONVERT),
    (rb"\0\0\0\x01\0\0.{2}\0\0.{2}\0\0.{2}\0\0", "FreeSurfer MGH", CONVERT),
    (rb"\x89HDF\r\n", "HDF5 (MINC, MATLAB …)", CONVERT),
    (rb"CDF[\x01\x02\x05]", "MINC (netCDF)", CONVERT),
    (rb"MATLAB 5", "MATLAB", CONVERT),
    (rb"\x93NUMPY", "NumPy", CONVERT),
    (rb"# vtk DataFile|<\?xml|<VTKFile", "VTK or XML", CONVERT),
    (
        rb"\x89PNG|\xff\xd8\xff|BM|GIF8|II\*\0|MM\0\*",
        "a picture",
        "export the CT itself",
    ),
    (rb"PK\x03\x04", "a zip archive", "rename it .zip"),
    (
        rb"\x1f\x8b|7z\xbc\xaf|\xfd7zXZ|BZh|\x28\xb5\x2f\xfd|Rar!",
        "a packed file",
        "unpack it",
    ),
    (rb"(?i)\s*<!doctype html|\s*<html", "a web page", "download the file again"),
    (rb"version https://git-lfs", "a Git LFS pointer", "fetch it: git lfs pull"),
    (rb"%PDF", "PDF", "export the CT itself"),
)


def open_unpacked(path: Path) -> BufferedIOBase:
    """The file's content, unpacked if its first bytes are those of gzip."""
    with path.open("rb") as file:
        packed = file.read(2) == GZIP
    return gzip.open(path) if packed else path.open("rb")


def check_kind(path: Path) -> None:
    """SkfmError if a volume's content is of another kind than its suffix says."""
    try:
        with open_unpacked(path) as stream:
            start = stream.read(START)
    except (EOFError, OSError, zlib.error):
        return  # a damaged file of gzip; its reader says so
    packed = isinstance(stream, gzip.GzipFile)
    own = OWN.get(suffix(path))
    for pattern, kind, remedy in KINDS:
        if own and re.match(pattern, start):
            if kind != own or (packed and kind != NIFTI):
                found = f"{path}: its content is {'gzipped ' * packed}{kind}"
                steps = ["unpack it (gunzip)"] * packed + [remedy] * (kind != own)
                expected = f"{own}, as its name says"
                raise SkfmError(found, expected, ", and ".join(steps))
            return
