"""What makes an image no scan of a head, said before any work is done on it."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.truncation import NIFTI, elsewhere
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import suffix

SPACING_LIMITS = (0.05, 10.0)  # mm: micro-CT to the thickest clinical slices
EXTENT_LIMITS = (50.0, 600.0)  # mm: part of a skull to a whole gantry's field of view
THICK, UNEVEN = 3.0, 2.0  # mm, and times the smallest side: voxels that hide a skull
MOST_VOXELS = 300_000_000  # 512×512×1100
SQUARE = 1e-3  # how far from 0 the products of two axes may be, if at right angles


def check_attached(path: Path) -> None:
    """Voxels in another file lie beside the header, not anywhere on the disk."""
    if suffix(path) in NIFTI:
        return
    for name in elsewhere(path):
        if "/" in name or "\\" in name or "%" in name or name.startswith("LIST"):
            raise SkfmError(
                f"{path}: its voxels are in several files or in another folder",
                "one file of voxels beside the header",
                "export the whole series as one volume",
            )


def check_voxels(path: Path, reader: sitk.ImageFileReader) -> None:
    """SkfmError unless the header promises a 3-D image of at most MOST_VOXELS."""
    size, values = reader.GetSize(), reader.GetNumberOfComponents()
    if len(size) != 3 or values != 1 or min(size) < 2:
        raise SkfmError(
            f"{path}: an image of {times(size)} voxels, {values} value(s) each",
            "a 3-D scan with one value a voxel",
            "export the whole series as one volume",
        )
    if np.prod([float(n) for n in size]) > MOST_VOXELS:
        raise SkfmError(
            f"{path}: {times(size)} voxels",
            f"at most {MOST_VOXELS:,} voxels",
            "crop the scan to the head, or resample it to 0.5 mm",
        )


def check_axes(path: Path, image: sitk.Image) -> None:
    """SkfmError unless the axes are at right angles; they may be left-handed."""
    axes = np.array(image.GetDirection()).reshape(3, 3)
    if not np.allclose(axes.T @ axes, np.eye(3), atol=SQUARE):
        raise SkfmError(
            f"{path}: its axes are not at right angles",
            "a scan on a straight grid",
            "resample it, as `dcm2niix` does with a tilted gantry",
        )


def check_bytes(path: Path, image: sitk.Image) -> None:
    """SkfmError for grey values of 8 bits: Hounsfield units that overflowed."""
    if image.GetPixelID() not in (sitk.sitkInt8, sitk.sitkUInt8):
        return
    values = np.unique(sitk.GetArrayViewFromImage(image)[::2, ::2, ::2])
    if len(values) > 2:
        raise SkfmError(
            f"{path}: {len(values)} grey values of 8 bits, {values[0]} to {values[-1]}",
            "Hounsfield units, which need 16 bits, or a mask of two values",
            "export the scan again with 16 bits",
        )


def check_geometry(path: Path, image: sitk.Image) -> None:
    """SkfmError for voxels or fields of view that no scan of a head has."""
    spacing = np.array(image.GetSpacing())
    extent = spacing * image.GetSize()
    for name, values, limits in (
        ("voxels", spacing, SPACING_LIMITS),
        ("a field of view", extent, EXTENT_LIMITS),
    ):
        if not (limits[0] <= values.min() and values.max() <= limits[1]):
            raise SkfmError(
                f"{path}: {name} of {times(values)} mm",
                f"{limits[0]:g}–{limits[1]:g} mm along every axis",
                "check the file's spacing: its unit must be the millimetre",
            )
    if spacing.max() > max(THICK, UNEVEN * spacing.min()):
        raise SkfmError(
            f"{path}: slices {spacing.max():.2g} mm apart",
            f"at most {THICK:g} mm, for the walls of a skull",
            "take the thin slices of the same scan",
        )


def times(values: Iterable[float]) -> str:
    """Sizes as text: 512×512×300."""
    return "×".join(f"{v:.4g}" for v in values)
