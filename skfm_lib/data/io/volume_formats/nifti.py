"""NIfTI-1 and NIfTI-2 files, by nibabel, as images of ITK."""

import gzip
import re
import zlib
from io import BufferedIOBase
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from nibabel.spatialimages import HeaderDataError
from nibabel.volumeutils import array_from_file

from skfm_lib.data.io.file_kinds import GZIP, open_unpacked
from skfm_lib.data.io.grids import add_note, set_affine
from skfm_lib.data.io.scan_checks import SLACK, check_layout
from skfm_lib.data.io.volume_formats.nifti_geometry import affine_of
from skfm_lib.utils.files import unreadable

NIFTI2 = (b"\x1c\x02\0\0", b"\0\0\x02\x1c")  # its first bytes: 540, in both orders
UNITS = {1: 1000.0, 3: 1e-3}  # mm in a metre and in a µm (xyzt_units)
CHUNK = 1 << 22  # bytes
LABEL = re.compile(rb'<Label Key="(\d+)"[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]*)')


def read_nifti(path: Path) -> sitk.Image:
    """The one 3-D volume of a NIfTI file, whatever its suffix, unscaled if it can be.

    Integers stay what they are; with a slope or intercept they become int16 if that is
    exact, otherwise float32, as all floats do.  The axes may be skew (see
    `grids.rectangular`); a NOTE in the metadata states what was decided about them (see
    `nifti_geometry`).  Labels that TotalSegmentator or Connectome Workbench name in the
    header are given Slicer's keys (see `segmentations`).

    Raises:
        SkfmError: for a damaged file, several volumes, several values per voxel, and
            geometry that is singular or contradicts itself.
    """
    try:
        with open_unpacked(path) as stream:
            header = _header(stream)
            voxels = _voxels(path, header, stream)
            names = _label_names(header, stream)
        scaling = header.get_slope_inter()
    except (EOFError, OSError, zlib.error) as reason:
        raise unreadable(path, "the file is cut short or damaged") from reason
    except (HeaderDataError, KeyError, ValueError, OverflowError) as reason:
        raise unreadable(path, "its header is damaged") from reason
    image = sitk.GetImageFromArray(_scaled(voxels, *scaling).T)
    affine, notes = affine_of(path, header)
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine  # RAS to LPS
    affine *= UNITS.get(int(header["xyzt_units"]) & 7, 1.0)
    set_affine(image, affine[:3, :3], affine[:3, 3])
    for number, (value, name) in enumerate(names.items()):
        image.SetMetaData(f"Segment{number}_Name", name)
        image.SetMetaData(f"Segment{number}_LabelValue", str(value))
        image.SetMetaData(f"Segment{number}_Layer", "0")
    add_note(image, ", ".join(notes))
    return image


def set_slope(path: Path, slope: float) -> None:
    """State in a NIfTI-1 file of ITK's that readers multiply its values by `slope`."""
    packed = path.read_bytes()
    content = gzip.decompress(packed) if packed[:2] == GZIP else packed
    header = nib.Nifti1Header(content[: nib.Nifti1Header.sizeof_hdr])
    header.set_slope_inter(slope, 0.0)
    content = header.binaryblock + content[header.sizeof_hdr :]
    if packed[:2] == GZIP:  # level 9 takes 14 times as long, for 2 % less
        content = gzip.compress(content, 6, mtime=0)
    path.write_bytes(content)


def _header(stream: BufferedIOBase) -> nib.Nifti1Header:
    start = stream.read(4)
    kind = nib.Nifti2Header if start in NIFTI2 else nib.Nifti1Header
    start += stream.read(kind.sizeof_hdr - 4)
    if len(start) < kind.sizeof_hdr:
        raise EOFError
    header = kind(start, check=False)  # nibabel's would replace sizes of 0 by 1 mm
    if header["sizeof_hdr"] != kind.sizeof_hdr or not 1 <= header["dim"][0] <= 7:
        raise ValueError("no header")
    header["pixdim"][0] = -1 if header["pixdim"][0] < 0 else 1
    header["pixdim"][1:4] = np.abs(header["pixdim"][1:4])
    return header


def _voxels(path: Path, header: nib.Nifti1Header, stream: BufferedIOBase) -> np.ndarray:
    """The stored values (x, y, z); mapped to memory where the file is not packed."""
    shape = header.get_data_shape()
    last = max([3, *(axis + 1 for axis, n in enumerate(shape) if n > 1)])
    shape = tuple(int(n) for n in shape[:last])
    stored = header.get_data_dtype()
    values = 1 if stored.kind in "iuf" else len(stored.names or "ri")  # or complex
    check_layout(path, shape, values)
    offset = _offset(header)
    voxels = array_from_file(shape, stored, stream, offset, mmap="r")
    end = offset + voxels.nbytes
    stream.seek(end)
    more = 0
    while more <= SLACK and (chunk := stream.read(CHUNK)):  # to gzip's checksum
        more += len(chunk)
    if more > SLACK:
        raise unreadable(path, "it holds more than its header says")
    return voxels.astype(stored.newbyteorder("="), copy=False)


def _offset(header: nib.Nifti1Header) -> int:
    """Bytes before the voxels."""
    offset = max(header.get_data_offset(), header.single_vox_offset)
    if offset > SLACK:
        raise ValueError("voxels far from the header")
    return offset


def _scaled(voxels: np.ndarray, slope: float | None, inter: float | None) -> np.ndarray:
    """Slope and intercept applied; integers as int16 if that is exact."""
    integers = voxels.dtype.kind in "iu"
    if slope is None or inter is None or (slope, inter) == (1, 0):
        if integers:
            return voxels
        with np.errstate(over="ignore"):  # becomes infinite, which is counted
            return voxels.astype(np.float32)
    if integers and slope.is_integer() and inter.is_integer():
        ends = [
            int(end) * int(slope) + int(inter) for end in (voxels.min(), voxels.max())
        ]
        if -(2**15) <= min(ends) and max(ends) < 2**15:
            # Modulo 2¹⁶ the sum is right even if a term is not within int16.
            factor, shift = np.array([int(slope), int(inter)]).astype(np.int16)
            return voxels.astype(np.int16) * factor + shift
    with np.errstate(over="ignore", invalid="ignore"):
        scaled = voxels.astype(np.float32)
        scaled *= np.float32(slope)
        scaled += np.float32(inter)
    return scaled


def _label_names(header: nib.Nifti1Header, stream: BufferedIOBase) -> dict[int, str]:
    """Value → name from a table of labels in the header's extensions."""
    first = header.sizeof_hdr
    stream.seek(first)
    found = LABEL.findall(stream.read(_offset(header) - first))
    return {int(v): name.decode("utf-8", "replace").strip() for v, name in found}
