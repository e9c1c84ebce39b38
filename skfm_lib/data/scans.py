"""Scans, voxel grids and meshes as files, in RAS+ millimetres.

SimpleITK thinks in LPS and orders arrays (z, y, x); STL, PLY, OBJ and VTP files
carry no frame and are taken as RAS.  Both facts end in this module.
"""

from pathlib import Path

import numpy as np
import pyvista as pv
import SimpleITK as sitk
import trimesh
from vtkmodules.vtkIOXML import vtkXMLPolyDataWriter

from skfm_lib.data.files import (
    check_present,
    check_suffix,
    cut_short,
    nifti_floats,
    replacing,
    suffix,
    unreadable,
)
from skfm_lib.data.voxels import Grid
from skfm_lib.errors import SkfmError

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".nhdr", ".mha", ".mhd")
ONE_FILE_SUFFIXES = (".nii.gz", ".nii", ".nrrd", ".mha")  # header and voxels together
MESH_SUFFIXES = (".stl", ".ply", ".obj", ".vtp")
SPACING_LIMITS = (0.05, 10.0)  # mm: micro-CT to the thickest clinical slices
EXTENT_LIMITS = (50.0, 600.0)  # mm: part of a skull to a whole gantry's field of view
TYPICAL_EXTENT = 200.0  # mm: an adult skull from front to back or chin to vertex
UNITS = {"metres": 1000.0, "centimetres": 10.0, "inches": 25.4, "micrometres": 0.001}
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])


def read_scan(path: Path) -> sitk.Image:
    """A 3-D scan with axes turned to right, anterior, superior; int16 or float32.

    Voxel values keep their meaning (Hounsfield units of a CT).  SkfmError where the
    file cannot be read, is cut short, is not 3-D, holds NaN or infinite values, or
    has voxels or extents that no head scan has (SPACING_LIMITS, EXTENT_LIMITS).
    """
    image = sitk.DICOMOrient(_read_image(Path(path)), "RAS")
    _check_geometry(Path(path), image)
    if image.GetPixelID() not in (sitk.sitkInt16, sitk.sitkInt8, sitk.sitkUInt8):
        image = sitk.Cast(image, sitk.sitkFloat32)
    else:
        image = sitk.Cast(image, sitk.sitkInt16)
    if wrong := _not_finite(Path(path), image):
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
    image = sitk.DICOMOrient(_read_image(Path(path)), "RAS")
    spacing = np.array(image.GetSpacing())
    if np.ptp(spacing) > 1e-4 * spacing.min():
        raise SkfmError(
            f"{path}: voxels of {_times(spacing)} mm",
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
    with replacing(Path(path)) as temporary:
        sitk.WriteImage(image, str(temporary), useCompression=True)
        if cut := cut_short(temporary):
            raise OSError(cut)


def read_mesh(path: Path) -> pv.PolyData:
    """A triangle mesh in RAS mm from STL, PLY, OBJ or VTP.

    SkfmError where the file cannot be read, holds no triangles or points that are
    not finite, or is not the size of a head in millimetres (it names the likely unit).
    """
    path = Path(path)
    check_present(path, MESH_SUFFIXES)
    try:
        mesh = pv.read(path).extract_surface(algorithm=None).triangulate()
    except Exception as reason:  # VTK's readers raise whatever they like
        raise unreadable(path, reason) from reason
    if mesh.n_points == 0 or mesh.n_cells == 0:
        raise unreadable(path, "it holds no triangles")
    if not np.isfinite(mesh.points).all():
        raise unreadable(path, "it has points that are NaN or infinite")
    extent = float(np.ptp(mesh.points, axis=0).max())
    if not EXTENT_LIMITS[0] <= extent <= EXTENT_LIMITS[1]:
        unit, factor = _likely_unit(extent)
        raise SkfmError(
            f"{path}: the mesh is {extent:.4g} units long, it looks like {unit}",
            "a skull in millimetres, {:.0f}–{:.0f} mm".format(*EXTENT_LIMITS),
            f"multiply its points by {factor:g} and save it again",
        )
    return mesh


def write_mesh(path: Path, mesh: pv.PolyData) -> None:
    """Write a mesh in RAS mm as STL, PLY, OBJ or VTP, by the suffix of `path`.

    SkfmError if the suffix is another or the file cannot be written.
    """
    check_suffix(Path(path), MESH_SUFFIXES)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(_encoded(mesh, suffix(path)))


def _encoded(mesh: pv.PolyData, kind: str) -> bytes:
    """The mesh as a file's content; VTK's own writing crashes when the disk is full."""
    if kind == ".vtp":
        writer = vtkXMLPolyDataWriter()
        writer.SetInputData(mesh)
        writer.SetDataModeToBinary()
        writer.WriteToOutputStringOn()
        writer.Write()
        return writer.GetOutputString().encode()
    plain = trimesh.Trimesh(mesh.points, mesh.regular_faces, process=False)
    content = plain.export(file_type=kind[1:])
    return content if isinstance(content, bytes) else content.encode()


def _read_image(path: Path) -> sitk.Image:
    check_present(path, VOLUME_SUFFIXES)
    if cut := cut_short(path):
        raise unreadable(path, cut)
    try:
        image = sitk.ReadImage(str(path))
    except RuntimeError as reason:
        raise unreadable(path, reason) from reason
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise SkfmError(
            f"{path}: an image of {_times(image.GetSize())} voxels, "
            f"{image.GetNumberOfComponentsPerPixel()} value(s) each",
            "a 3-D scan with one value a voxel",
            "export the whole series as one volume",
        )
    return image


def _not_finite(path: Path, image: sitk.Image) -> int:
    """How many voxels are NaN or infinite; ITK reads those of NIfTI files as 0."""
    if image.GetPixelID() == sitk.sitkInt16:
        return 0
    if suffix(path) in (".nii", ".nii.gz"):
        values = nifti_floats(path)
    else:
        values = sitk.GetArrayViewFromImage(image)
    return int((~np.isfinite(values)).sum())


def _check_geometry(path: Path, image: sitk.Image) -> None:
    spacing = np.array(image.GetSpacing())
    extent = spacing * image.GetSize()
    for name, values, limits in (
        ("voxels", spacing, SPACING_LIMITS),
        ("a field of view", extent, EXTENT_LIMITS),
    ):
        if not (limits[0] <= values.min() and values.max() <= limits[1]):
            raise SkfmError(
                f"{path}: {name} of {_times(values)} mm",
                f"{limits[0]:g}–{limits[1]:g} mm along every axis",
                "check the file's spacing: its unit must be the millimetre",
            )


def _likely_unit(extent: float) -> tuple[str, float]:
    return min(UNITS.items(), key=lambda u: abs(np.log(extent * u[1] / TYPICAL_EXTENT)))


def _times(values: object) -> str:
    return "×".join(f"{v:.4g}" for v in values)
