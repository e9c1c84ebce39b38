"""The CT in a project of InVesalius (.inv3)."""

import math
import plistlib
from pathlib import Path, PurePosixPath

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.archives import members, unpacked
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import check_present, unreadable

DESCRIPTION, MATRIX = "main.plist", "matrix.dat"
NEWEST = 1.1  # format version
AXIAL = 1  # orientation of the slices
TYPES = ("int16", "uint16", "uint8")
LARGEST = 1 << 20  # bytes of a description; real ones have 2,000


def read_inv3(path: Path) -> sitk.Image:
    """The CT of an InVesalius project, in Hounsfield units, axial.

    A project is a tar file of a description and raw slices (z, y, x), whose rows run
    from back to front and whose columns from right to left, as InVesalius reads DICOM
    (invesalius/data/imagedata_utils.py).  The origin is that of the project's own
    surfaces.

    Raises:
        SkfmError: for a file of another kind, a damaged one, or one without axial CT.
    """
    path = Path(path)
    check_present(path, (".inv3",))
    sizes = members(path)
    names = {
        PurePosixPath(name).name: name
        for name, size in sizes.items()
        if name.endswith(MATRIX) or (name.endswith(DESCRIPTION) and size < LARGEST)
    }
    if not {DESCRIPTION, MATRIX} <= set(names):
        raise unreadable(path, "it holds no CT")
    with unpacked(path, names.values()) as folder:
        description = (folder / names[DESCRIPTION]).read_bytes()
        shape, spacing, dtype = _geometry(path, description, sizes[names[MATRIX]])
        voxels = np.fromfile(folder / names[MATRIX], dtype).reshape(shape)
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing(spacing)
    image.SetDirection((1, 0, 0, 0, -1, 0, 0, 0, 1))
    return image


def _geometry(
    path: Path, description: bytes, size: int
) -> tuple[tuple[int, ...], tuple[float, ...], np.dtype]:
    """Shape (z, y, x), spacing (x, y, z) and type of `size` bytes of voxels."""
    try:
        about = plistlib.loads(description)
        known = float(about["format_version"]) <= NEWEST
        axial_ct = about["modality"] == "CT" and about["orientation"] == AXIAL
        shape = tuple(int(n) for n in about["matrix"]["shape"])
        spacing = tuple(float(mm) for mm in about["spacing"])
        dtype = str(about["matrix"]["dtype"])
    except MemoryError:
        raise
    except Exception as reason:  # plistlib raises many types for a damaged file
        raise unreadable(path) from reason
    if not (known and axial_ct):
        found = f"{path}: not an axial CT in format {NEWEST} or older"
        expected = "an InVesalius project of an axial CT"
        raise SkfmError(found, expected, "export it from InVesalius as NIfTI")
    valid = len(shape) == len(spacing) == 3 and dtype in TYPES and min(shape) > 0
    if not valid or math.prod(shape) * np.dtype(dtype).itemsize != size:
        raise unreadable(path, "its voxels are not those that it describes")
    if not all(0 < mm < math.inf for mm in spacing):
        raise unreadable(path, "its spacing is not positive")
    return shape, spacing, np.dtype(dtype)
