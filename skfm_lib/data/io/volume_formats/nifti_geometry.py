"""Where the voxels of a NIfTI file are: its sform, its qform and its pixdim."""

from pathlib import Path

import nibabel as nib
import numpy as np
from nibabel.spatialimages import HeaderDataError

from skfm_lib.data.io.scan_checks import times
from skfm_lib.utils.errors import SkfmError

SCANNER, TEMPLATES = (1, 2), (3, 4, 5)  # codes: of the scan; of an atlas, may scale
SAME_SIZE = 0.02  # share by which voxel sizes of sform and pixdim may differ
SIZE_NOTED = 1e-4  # share from which that is noted: more than float32 rounds
SAME_ANGLE, SAME_POSITION = 0.5, 1.0  # degrees and mm by which the forms may differ
SINGULAR = 1e-3  # volume of a voxel, as a share of the product of its sides
SIDES = "which side is left"
UNKNOWN_SIDE = "the file does not say which side is left"


def affine_of(path: Path, header: nib.Nifti1Header) -> tuple[np.ndarray, list[str]]:
    """The 4×4 affine from voxel indices to RAS, in the file's unit, and notes on it.

    The sform is used where there is one, except one that leads to an atlas where the
    qform leads to the scanner; without either, the axes lead to left, posterior and
    superior.

    Raises:
        SkfmError: for an affine that is singular or not finite, and where the sform's
            voxel sizes are not those of pixdim, or its sides not those of the qform.
    """
    codes = {name: int(header[f"{name}_code"]) for name in ("sform", "qform")}
    forms = {name: _form(header, name) for name, code in codes.items() if code}
    if not forms:
        x, y, z = header["pixdim"][1:4].tolist()
        forms = {"pixdim": np.diag([-x, -y, z, 1.0])}  # as ITK and Slicer do
    regular = {name: form for name, form in forms.items() if _is_regular(form)}
    if not regular:
        found = f"{path}: singular {' and '.join(forms)} (0, or not finite)"
        remedy = "export it again: the size of its voxels is unknown"
        raise SkfmError(found, "an affine from voxels to mm", remedy)
    notes = [f"singular {name}" for name in forms if name not in regular]
    used = next(iter(regular))
    if used == "pixdim":
        return regular[used], [UNKNOWN_SIDE]
    if len(regular) == 2:
        middle = (np.array(header.get_data_shape()[:3]) - 1) / 2
        if difference := _difference(regular["sform"], regular["qform"], middle):
            if codes["sform"] in TEMPLATES and codes["qform"] in SCANNER:
                used = "qform"
            elif difference == SIDES:
                found = f"{path}: its sform and qform disagree on {SIDES}"
                remedy = "remove the wrong one, as with nibabel, or export it again"
                raise SkfmError(found, "one geometry", remedy)
            notes.append(f"sform and qform differ by {difference}")
    if notes:
        notes.append(f"{used} used")
    affine, remarks = _with_sizes(path, header, used, regular[used])
    return affine, notes + remarks


def _form(header: nib.Nifti1Header, name: str) -> np.ndarray:
    """The 4×4 sform or qform; NaN where the header's values give none."""
    try:
        with np.errstate(all="ignore"):
            return np.array(getattr(header, f"get_{name}")(), float)
    except (HeaderDataError, ValueError):  # such as a quaternion longer than 1
        return np.full((4, 4), np.nan)


def _is_regular(affine: np.ndarray) -> bool:
    if not np.isfinite(affine).all():
        return False
    with np.errstate(over="ignore", invalid="ignore"):
        volume = abs(np.linalg.det(affine[:3, :3]))
        sides = np.prod(np.linalg.norm(affine[:3, :3], axis=0))
        return bool(sides > 0 and np.isfinite(sides) and volume > SINGULAR * sides)


def _difference(first: np.ndarray, second: np.ndarray, middle: np.ndarray) -> str:
    """How two affines differ, in words; "" within rounding."""
    between = np.linalg.inv(first[:3, :3]) @ second[:3, :3]
    if np.linalg.det(between) < 0:
        return SIDES
    rotations = [_axes(affine) for affine in (first, second)]
    cosine = (np.trace(rotations[0].T @ rotations[1]) - 1) / 2
    angle = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    centres = [affine[:3, :3] @ middle + affine[:3, 3] for affine in (first, second)]
    distance = float(np.linalg.norm(centres[0] - centres[1]))
    parts = [f"{angle:.1f}°"] if angle > SAME_ANGLE else []
    return " and ".join(parts + [f"{distance:.0f} mm"] * (distance > SAME_POSITION))


def _axes(affine: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to the directions of an affine's axes."""
    left, _, right = np.linalg.svd(affine[:3, :3] / _lengths(affine))
    return left @ right


def _lengths(affine: np.ndarray) -> np.ndarray:
    return np.linalg.norm(affine[:3, :3], axis=0)


def _with_sizes(
    path: Path, header: nib.Nifti1Header, used: str, affine: np.ndarray
) -> tuple[np.ndarray, list[str]]:
    """The affine with the voxel sizes of pixdim, which are not rounded, and a note.

    SkfmError if pixdim states others than the form.
    """
    stated, lengths = np.array(header["pixdim"][1:4], float), _lengths(affine)
    if not (stated > 0).all() or not np.isfinite(stated).all():
        return affine, [f"its pixdim states no voxel size: {used} used"]
    # Of a sheared grid, pixdim may be the distance from slice to slice.
    heights = 1 / np.linalg.norm(np.linalg.inv(affine[:3, :3]), axis=1)
    along, across = abs(stated / lengths - 1), abs(stated / heights - 1)
    if np.minimum(along, across).max() > SAME_SIZE:
        by_form, by_pixdim = f"{times(lengths)} mm", f"{times(stated)} mm"
        sizes = f"{by_form} by its {used} and {by_pixdim} by its pixdim"
        remedy = "correct the wrong one, as with nibabel, or export it again"
        raise SkfmError(f"{path}: voxels of {sizes}", "one size", remedy)
    if along.max() > SAME_SIZE:
        return affine, []
    scaled = affine.copy()
    scaled[:3, :3] *= stated / lengths
    sizes = f"{times(lengths)} mm by {used}, {times(stated)} mm by pixdim (used)"
    return scaled, [f"voxels of {sizes}"] if along.max() > SIZE_NOTED else []
