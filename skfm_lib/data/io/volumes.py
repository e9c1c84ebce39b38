"""Scans and voxel grids as files, in RAS+ millimetres.

SimpleITK thinks in LPS and orders arrays (z, y, x): both end in this module.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.dicom_series import NOTE, read_series
from skfm_lib.data.io.invesalius import read_inv3
from skfm_lib.data.io.meshes import MESH_SUFFIXES as MESH_SUFFIXES
from skfm_lib.data.io.meshes import read_mesh as read_mesh
from skfm_lib.data.io.meshes import write_mesh as write_mesh
from skfm_lib.data.io.scan_checks import (
    check_attached,
    check_axes,
    check_bytes,
    check_geometry,
    check_voxels,
    times,
)
from skfm_lib.data.io.truncation import NIFTI, cut_short, nifti_floats
from skfm_lib.data.voxels import Grid
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import (
    check_present,
    check_suffix,
    replacing,
    suffix,
    unreadable,
)

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".inv3")
ONE_FILE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")  # header and voxels together
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def read_scan(path: Path, slices: Sequence[Path] = ()) -> sitk.Image:
    """A 3-D scan with axes turned to right, anterior, superior; int16 or float32.

    path    a volume's file; with `slices`, the folder of these DICOM slices

    Voxel values keep their meaning (Hounsfield units of a CT); the NOTE of a series
    stays in the metadata.  SkfmError where the file cannot be read, is cut short, is
    not 3-D, holds NaN or infinite values, grey values of 8 bits, or has voxels or
    extents that no head scan has (SPACING_LIMITS, EXTENT_LIMITS, THICK).
    """
    path = Path(path)
    return upright(path, read_as_it_lies(path, slices))


def read_as_it_lies(path: Path, slices: Sequence[Path] = ()) -> sitk.Image:
    """The scan with the axes and values of its file; arguments as `read_scan`."""
    if slices:
        return read_series(list(slices))
    return read_inv3(path) if suffix(path) == ".inv3" else _read_image(path)


def upright(path: Path, image: sitk.Image) -> sitk.Image:
    """The image as `read_scan` gives it, checked; `path` names it in errors."""
    check_axes(path, image)
    note = image.GetMetaData(NOTE) if image.HasMetaDataKey(NOTE) else ""
    check_bytes(path, image)
    if image.GetPixelID() != (kind := _pixel_type(image)):
        image = sitk.Cast(image, kind)
    image = sitk.DICOMOrient(image, "RAS")
    check_geometry(path, image)
    image.SetMetaData(NOTE, note)
    if wrong := _not_finite(path, image):
        raise SkfmError(
            f"{path}: {wrong} voxels are NaN or infinite",
            "finite values in every voxel",
            "export the scan again, or fill them (air is −1000 HU)",
        )
    return image


def read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    """Occupancy (D, H, W) bool and its grid: the inverse of `write_volume`.

    Voxels above 0 are bone.  NIfTI keeps geometry in float32; rounded to 1e-5 mm, a
    `skull_grid` comes back exactly.  SkfmError as in
    `read_scan` (without the limits on size), or if the voxels are not cubes.
    """
    image = _read_image(Path(path))
    check_axes(Path(path), image)
    image = sitk.DICOMOrient(image, "RAS")
    if not np.allclose(image.GetDirection(), LPS_TO_RAS.ravel(), atol=1e-4):
        raise SkfmError(
            f"{path}: its axes are turned against the patient's",
            "axes as in the volumes that skfm writes",
            "skfm prepare FOLDER, which resamples scans",
        )
    spacing = np.array(image.GetSpacing())
    if np.ptp(spacing) > 1e-4 * spacing.min():
        raise SkfmError(
            f"{path}: voxels of {times(spacing)} mm",
            "cubic voxels, as in the volumes that skfm writes",
            "skfm prepare FOLDER, which resamples scans",
        )
    occupancy = np.transpose(sitk.GetArrayViewFromImage(image), (1, 2, 0)) > 0
    origin = LPS_TO_RAS @ image.GetOrigin()
    origin = tuple(round(float(o), 5) for o in origin)
    grid = Grid(occupancy.shape, round(float(spacing[0]), 5), origin)
    return np.ascontiguousarray(occupancy), grid


def write_volume(path: Path, occupancy: np.ndarray, grid: Grid) -> None:
    """Write occupancy (D, H, W) on `grid` as a compressed uint8 image in place.

    NIfTI (.nii.gz) is the project's own format; any of ONE_FILE_SUFFIXES works.
    Viewers show the skull upright, left on its left.  SkfmError if the suffix is
    another or the file cannot be written whole.
    """
    check_suffix(Path(path), ONE_FILE_SUFFIXES)
    if occupancy.shape != grid.shape:
        raise ValueError(f"occupancy {occupancy.shape} is not on grid {grid.shape}")
    voxels = np.transpose(occupancy, (2, 0, 1)).astype(np.uint8, order="C")
    image = sitk.GetImageFromArray(voxels)
    image.SetSpacing([grid.spacing] * 3)
    image.SetOrigin((LPS_TO_RAS @ grid.origin).tolist())
    image.SetDirection(LPS_TO_RAS.ravel().tolist())
    write_image(path, image)


def write_image(path: Path, image: sitk.Image) -> None:
    """Write an image with its geometry, compressed; errors as in `write_volume`."""
    check_suffix(Path(path), ONE_FILE_SUFFIXES)
    with replacing(Path(path)) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
        _check_whole(temporary)


def _check_whole(path: Path) -> None:
    """OSError if what was written is not whole: ITK says nothing of a full disk."""
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    if cut := cut_short(path, reader):
        raise OSError(cut)


def _read_image(path: Path) -> sitk.Image:
    check_present(path, VOLUME_SUFFIXES)
    check_attached(path)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    try:
        reader.ReadImageInformation()
        check_voxels(path, reader)
        if cut := cut_short(path, reader):
            raise unreadable(path, cut)
        image = reader.Execute()
        image.SetMetaData(NOTE, _unsaid(path, image))
        return image
    except RuntimeError as reason:
        raise unreadable(path) from reason


def _unsaid(path: Path, image: sitk.Image) -> str:
    """A note on a NIfTI or NRRD file that does not place its axes in the patient."""
    keys = set(image.GetMetaDataKeys())
    if suffix(path) in NIFTI:
        codes = {
            image.GetMetaData(k) for k in ("qform_code", "sform_code") if k in keys
        }
        said = codes != {"0"}
    else:
        said = suffix(path) not in (".nrrd", ".nhdr") or "NRRD_space" in keys
    return "" if said else "the file does not say which side is left"


def _pixel_type(image: sitk.Image) -> int:
    """Of 16 bits where all values fit, of 32 otherwise."""
    if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64):
        return sitk.sitkFloat32
    values = sitk.GetArrayViewFromImage(image)
    fits = -(2**15) <= values.min() and values.max() < 2**15
    return sitk.sitkInt16 if fits else sitk.sitkFloat32


def _not_finite(path: Path, image: sitk.Image) -> int:
    """How many voxels are NaN or infinite; ITK reads those of NIfTI files as 0."""
    if image.GetPixelID() == sitk.sitkInt16:
        return 0
    if suffix(path) in NIFTI:
        values = nifti_floats(path)
    else:
        values = sitk.GetArrayViewFromImage(image)
    return int((~np.isfinite(values)).sum())
