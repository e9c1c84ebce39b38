"""Scans and voxel grids as files, in RAS+ millimetres.

SimpleITK uses LPS coordinates and (z, y, x) arrays; both are converted here.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io import scan_checks
from skfm_lib.data.io.dicom.series import read_series
from skfm_lib.data.io.file_kinds import check_kind
from skfm_lib.data.io.grids import (
    NOTE,
    add_note,
    note_of,
    rectangular,
    rectangular_grid,
)
from skfm_lib.data.io.segmentations import bone_mask, names_segments
from skfm_lib.data.io.volume_formats import text_headers
from skfm_lib.data.io.volume_formats.invesalius import read_inv3
from skfm_lib.data.io.volume_formats.nifti import read_nifti, set_slope
from skfm_lib.data.io.volume_formats.nifti_geometry import UNKNOWN_SIDE
from skfm_lib.data.voxels import FULL_BYTE, Grid
from skfm_lib.utils import files
from skfm_lib.utils.errors import SkfmError

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd", ".inv3")
NIFTI_SUFFIXES = (".nii", ".nii.gz")
ONE_FILE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")  # header and voxels together
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def read_scan(path: Path, slices: Sequence[Path] = (), label: str = "") -> sitk.Image:
    """A 3-D scan with axes to right, anterior and superior; int16 or float32.

    Voxel values are unchanged (Hounsfield units of a CT), but a segmentation becomes a
    mask of 0 and 1.  The image's metadata has a NOTE on what was changed or is unknown,
    or "".

    Args:
        path: A volume's file; with `slices`, the folder of these DICOM slices.
        label: Which label of a segmentation is the skull (see `bone_mask`).

    Raises:
        SkfmError: if the file cannot be read, is cut short, is not 3-D, holds values
            that are not finite or have 8 bits, or labels of which it is not clear which
            is the skull, or has a size that no head scan has (see `scan_checks`).
    """
    path = Path(path)
    image = _read_stored(path, slices)
    scan_checks.check_geometry(path, image)
    image = bone_mask(path, image, label)
    scan_checks.check_values(path, image)
    image = rectangular(image)
    note = note_of(image)
    if image.GetPixelID() != (kind := _pixel_type(image)):
        image = sitk.Cast(image, kind)
    image = sitk.DICOMOrient(image, "RAS")
    image.SetMetaData(NOTE, note)
    return image


def read_grid(path: Path, slices: Sequence[Path] = ()) -> sitk.Image:
    """An empty image (uint8) on the scan's own grid, with the axes of its file.

    Of a scan whose axes are not at right angles, the rectangular grid on which it is
    resampled.  Arguments and errors as `read_scan`.
    """
    path = Path(path)
    image = _read_stored(path, slices)
    scan_checks.check_geometry(path, image)
    return rectangular_grid(image)


def _read_stored(path: Path, slices: Sequence[Path]) -> sitk.Image:
    if slices:
        return read_series(list(slices))
    return read_inv3(path) if files.suffix(path) == ".inv3" else _read_image(path)


def read_volume(path: Path) -> tuple[np.ndarray, Grid]:
    """A skull (D, H, W) and its grid: the inverse of `write_volume`.

    Integers are a mask of 0 and one other value: the result is bool.  Real numbers are
    fractions of bone: the result is uint8, 255 for 1 (see `bone_fractions`).  NIfTI
    stores geometry in float32; rounded to 1e-5 mm, a `skull_grid` is read back exactly.

    Raises:
        SkfmError: as `read_scan`, but for any size of cubic voxels; for integers of
            more values, and for real numbers outside 0 to 1.
    """
    path = Path(path)
    image = sitk.DICOMOrient(_read_image(path), "RAS")
    spacing, problem = np.array(image.GetSpacing()), None
    if (layers := image.GetNumberOfComponentsPerPixel()) > 1:
        problem = f"a segmentation of {layers} layers"
    elif not np.allclose(image.GetDirection(), LPS_TO_RAS.ravel(), atol=1e-4):
        problem = "its axes are rotated against the patient's"
    elif np.ptp(spacing) > 1e-4 * spacing.min():
        problem = f"voxels of {scan_checks.times(spacing)} mm"
    if problem:
        expected = "cubic voxels along the patient's axes, as skfm writes them"
        remedy = "skfm prepare FOLDER, which resamples scans"
        raise SkfmError(f"{path}: {problem}", expected, remedy)
    if count := scan_checks.not_finite(image):
        found = f"{path}: {count} voxels are NaN or infinite"
        raise SkfmError(found, "finite values", "regenerate the volume, or remove it")
    voxels = np.transpose(sitk.GetArrayViewFromImage(image), (1, 2, 0))
    real = image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64)
    low, high = float(voxels.min()), float(voxels.max())
    volume = np.ascontiguousarray(voxels > 0)
    if low < 0 or (high > 1 if real else (voxels[volume] < high).any()):
        found = f"{path}: values {low:g} to {high:g}"
        remedy = "skfm prepare FOLDER, which segments scans"
        raise SkfmError(found, "fractions of bone, 0 to 1, or a mask", remedy)
    if real:
        volume = np.rint(voxels * FULL_BYTE).astype(np.uint8, order="C")
    x, y, z = np.round(LPS_TO_RAS @ image.GetOrigin(), 5).tolist()
    return volume, Grid(volume.shape, round(float(spacing[0]), 5), (x, y, z))


def write_volume(path: Path, volume: np.ndarray, grid: Grid) -> None:
    """Write a skull (D, H, W) on `grid`, compressed: bits, or fractions as bytes.

    Bits become a mask of 0 and 1.  Fractions keep their bytes in NIfTI, with the slope
    by which other software reads 0 to 1; in other formats they are float32.  NIfTI
    (.nii.gz) is the project's own format; any of ONE_FILE_SUFFIXES is allowed.
    Viewers show the skull upright, its left side labelled left.

    Raises:
        SkfmError: for another suffix, or if the file cannot be written completely.
    """
    if volume.shape != grid.shape or volume.dtype not in (bool, np.uint8):
        found = f"{volume.dtype} {volume.shape}"
        raise ValueError(f"{found} are no bits or bytes on grid {grid.shape}")
    voxels, slope = np.transpose(volume, (2, 0, 1)), 1.0
    if volume.dtype == bool:
        voxels = voxels.astype(np.uint8)
    elif files.suffix(Path(path)) in NIFTI_SUFFIXES:
        slope = 1 / FULL_BYTE
    else:
        voxels = voxels.astype(np.float32) / FULL_BYTE
    image = sitk.GetImageFromArray(np.ascontiguousarray(voxels))
    image.SetSpacing([grid.spacing] * 3)
    image.SetOrigin((LPS_TO_RAS @ grid.origin).tolist())
    image.SetDirection(LPS_TO_RAS.ravel().tolist())
    write_image(path, image, slope)


def write_image(path: Path, image: sitk.Image, slope: float = 1.0) -> None:
    """Write an image with its geometry, compressed; errors as in `write_volume`.

    A `slope` other than 1, by which readers multiply, is for NIfTI only.
    """
    files.check_suffix(Path(path), ONE_FILE_SUFFIXES)
    with files.replacing(Path(path)) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
        if slope != 1:
            set_slope(temporary, slope)
        try:
            _read_image(temporary)  # ITK does not report a full disk
        except SkfmError as problem:
            raise OSError("it was not written completely") from problem


def _read_image(path: Path) -> sitk.Image:
    files.check_present(path, VOLUME_SUFFIXES)
    check_kind(path)
    if files.suffix(path) in NIFTI_SUFFIXES:
        return read_nifti(path)
    text, _ = text_headers.read_header(path)
    text_headers.check_data_files(path, text)
    reader = sitk.ImageFileReader()
    reader.SetFileName(str(path))
    is_nrrd = files.suffix(path) in text_headers.NRRD
    reader.SetImageIO("NrrdImageIO" if is_nrrd else "MetaImageIO")
    try:
        reader.ReadImageInformation()
        layers = reader.GetNumberOfComponents() if names_segments(reader) else 1
        values = reader.GetNumberOfComponents() // layers
        size = reader.GetSize()
        size = size[:3] if size[3:] == (1,) else size
        scan_checks.check_layout(path, size, values)
        if problem := scan_checks.truncation(path, reader, text):
            raise files.unreadable(path, problem)
        text_headers.check_states_size(path, text, reader.GetSpacing())
        image = reader.Execute()
        if image.GetDimension() == 4:  # of one volume
            image = image[:, :, :, 0]
    except RuntimeError as reason:
        raise text_headers.unreadable(path, text) from reason
    if layers == values == 1 and "vector" in image.GetPixelIDTypeAsString():
        image = sitk.VectorIndexSelectionCast(image)  # from a list of one value
    text_headers.complete_geometry(image, text)
    if is_nrrd and not text_headers.says_which_side_is_left(text):
        add_note(image, UNKNOWN_SIDE)
    return image


def _pixel_type(image: sitk.Image) -> int:
    """int16 for integers that fit, float32 otherwise."""
    if image.GetPixelID() in (sitk.sitkFloat32, sitk.sitkFloat64):
        return sitk.sitkFloat32
    values = sitk.GetArrayViewFromImage(image)
    fits = -(2**15) <= values.min() and values.max() < 2**15
    return sitk.sitkInt16 if fits else sitk.sitkFloat32
