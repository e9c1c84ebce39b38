"""Scans and voxel grids as files, in RAS+ millimetres.

SimpleITK uses LPS coordinates and (z, y, x) arrays; both are converted here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io import scan_checks
from skfm_lib.data.io.dicom_series import NOTE, read_series
from skfm_lib.data.io.invesalius import read_inv3
from skfm_lib.data.voxels import Grid
from skfm_lib.utils import files
from skfm_lib.utils.errors import SkfmError

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".inv3")
ONE_FILE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")  # header and voxels together
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def read_scan(path: Path, slices: Sequence[Path] = ()) -> sitk.Image:
    """A 3-D scan with axes to right, anterior and superior; int16 or float32.

    Voxel values are unchanged (Hounsfield units of a CT).  The image's metadata has a
    NOTE on what was changed or is unknown, or "".

    Args:
        path: A volume's file; with `slices`, the folder of these DICOM slices.

    Raises:
        SkfmError: if the file cannot be read, is cut short, is not 3-D, holds values
            that are not finite or have 8 bits, or has a size that no head scan has
            (see `scan_checks`).
    """
    path = Path(path)
    return to_ras(path, read_stored(path, slices))


def read_stored(path: Path, slices: Sequence[Path] = ()) -> sitk.Image:
    """The scan with the axes and values of its file; arguments as `read_scan`."""
    if slices:
        return read_series(list(slices))
    return read_inv3(path) if files.suffix(path) == ".inv3" else _read_image(path)


def to_ras(path: Path, image: sitk.Image) -> sitk.Image:
    """An image as `read_scan` returns it, checked; `path` is named in errors."""
    scan_checks.check_scan(path, image)
    note = image.GetMetaData(NOTE) if image.HasMetaDataKey(NOTE) else ""
    if image.GetPixelID() != (kind := _pixel_type(image)):
        image = sitk.Cast(image, kind)
    image = sitk.DICOMOrient(image, "RAS")
    image.SetMetaData(NOTE, note)
    if count := _not_finite(path, image):
        found = f"{path}: {count} voxels are NaN or infinite"
        remedy = "export the scan again, or fill them (air is −1000 HU)"
        raise SkfmError(found, "finite values in every voxel", remedy)
    return image


def read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    """Occupancy (D, H, W) bool and its grid: the inverse of `write_volume`.

    Voxels above 0 are bone.  NIfTI stores geometry in float32; rounded to 1e-5 mm, a
    `skull_grid` is read back exactly.

    Raises:
        SkfmError: as `read_scan`, but for any size of cubic voxels.
    """
    path = Path(path)
    image = sitk.DICOMOrient(_read_image(path), "RAS")
    spacing, problem = np.array(image.GetSpacing()), None
    if not np.allclose(image.GetDirection(), LPS_TO_RAS.ravel(), atol=1e-4):
        problem = "its axes are rotated against the patient's"
    elif np.ptp(spacing) > 1e-4 * spacing.min():
        problem = f"voxels of {scan_checks.times(spacing)} mm"
    if problem:
        expected = "cubic voxels along the patient's axes, as skfm writes them"
        remedy = "skfm prepare FOLDER, which resamples scans"
        raise SkfmError(f"{path}: {problem}", expected, remedy)
    if count := _not_finite(path, image):
        found = f"{path}: {count} voxels are NaN or infinite"
        raise SkfmError(found, "finite values", "regenerate the volume, or remove it")
    occupancy = np.transpose(sitk.GetArrayViewFromImage(image), (1, 2, 0)) > 0
    x, y, z = np.round(LPS_TO_RAS @ image.GetOrigin(), 5).tolist()
    grid = Grid(occupancy.shape, round(float(spacing[0]), 5), (x, y, z))
    return np.ascontiguousarray(occupancy), grid


def write_volume(path: Path, occupancy: np.ndarray, grid: Grid) -> None:
    """Write occupancy (D, H, W) on `grid` as a compressed uint8 image.

    NIfTI (.nii.gz) is the project's own format; any of ONE_FILE_SUFFIXES is allowed.
    Viewers show the skull upright, its left side labelled left.

    Raises:
        SkfmError: for another suffix, or if the file cannot be written completely.
    """
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
    files.check_suffix(Path(path), ONE_FILE_SUFFIXES)
    with files.replacing(Path(path)) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
        # ITK does not report a full disk.
        if problem := scan_checks.truncation(temporary, _header(temporary)):
            raise OSError(problem)


def _header(path: Path) -> sitk.ImageFileReader:
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    reader.ReadImageInformation()
    return reader


def _read_image(path: Path) -> sitk.Image:
    files.check_present(path, VOLUME_SUFFIXES)
    scan_checks.check_data_files(path)
    try:
        reader = _header(path)
        scan_checks.check_header(path, reader)
        if problem := scan_checks.truncation(path, reader):
            raise files.unreadable(path, problem)
        image = reader.Execute()
    except RuntimeError as reason:
        raise files.unreadable(path) from reason
    unknown = "the file does not say which side is left"
    image.SetMetaData(NOTE, "" if _has_orientation(path, image) else unknown)
    return image


def _has_orientation(path: Path, image: sitk.Image) -> bool:
    """Whether a NIfTI or NRRD file states how its axes lie in the patient."""
    keys = set(image.GetMetaDataKeys())
    if files.suffix(path) in scan_checks.NIFTI:
        codes = keys & {"qform_code", "sform_code"}
        return {image.GetMetaData(code) for code in codes} != {"0"}
    return files.suffix(path) not in (".nrrd", ".nhdr") or "NRRD_space" in keys


def _pixel_type(image: sitk.Image) -> int:
    """int16 for integers that fit, float32 otherwise."""
    if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64):
        return sitk.sitkFloat32
    values = sitk.GetArrayViewFromImage(image)
    fits = -(2**15) <= values.min() and values.max() < 2**15
    return sitk.sitkInt16 if fits else sitk.sitkFloat32


def _not_finite(path: Path, image: sitk.Image) -> int:
    """Number of NaN or infinite voxels; ITK reads those of NIfTI files as 0."""
    if image.GetPixelID() not in (sitk.sitkFloat32, sitk.sitkFloat64):
        return 0
    values = sitk.GetArrayViewFromImage(image)
    if files.suffix(path) in scan_checks.NIFTI:
        values = scan_checks.nifti_floats(path)
    return int((~np.isfinite(values)).sum())
