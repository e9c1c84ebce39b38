"""A DICOM series as one volume, checked slice by slice."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.dicom.files import EXPORT
from skfm_lib.data.io.dicom.headers import Slice, read_slices
from skfm_lib.data.io.dicom.pixels import AIR, hounsfield
from skfm_lib.data.io.dicom.stacks import (
    FEWEST,
    SAME_POSITION,
    axes_of,
    choose_series,
    offsets_of,
)
from skfm_lib.data.io.dicom.steps import even_steps, resampled
from skfm_lib.data.io.grids import NOTE, rectangular_grid
from skfm_lib.utils.errors import SkfmError

TILT = 0.5  # degrees between the stack and the slices' normal that count as tilt


def read_series(files: list[Path]) -> sitk.Image:
    """The CT of one series in Hounsfield units; its metadata may have a NOTE.

    Slices are sorted by their position along the normal; copies of a slice are
    dropped, and so are slices of another geometry.  A stack whose steps change, and one
    slanted by a tilted gantry, are resampled to a rectangular grid of even steps
    (linear interpolation, between the slices and in their plane).

    Raises:
        SkfmError: for files that cannot be read, missing slices, irregular steps,
            different slices at one position, and unknown compressions; it names no
            file and no patient.
    """
    stack, notes = _ordered(files)
    headers = [header for header, _ in stack]
    axes, offsets = axes_of(headers), offsets_of(headers)
    targets = even_steps(offsets, headers[0])
    step = _step(headers, offsets, len(targets))
    values = hounsfield(stack)
    if targets is not offsets:
        values = resampled(values, offsets, targets)
        lowest, highest = np.diff(offsets).min(), np.diff(offsets).max()
        notes.append(f"steps of {lowest:.3g} to {highest:.3g} mm resampled")
    if any(not header.rescale for header in headers):
        notes.append("no rescale to Hounsfield units is stated: taken as they are")
    image = sitk.GetImageFromArray(values)
    tilt = _set_geometry(image, headers[0], axes, step)
    if tilt > TILT:
        outside = AIR if values.dtype != np.uint8 else 0.0
        given = sitk.Transform(), sitk.sitkLinear, outside
        image = sitk.Resample(image, rectangular_grid(image), *given)
        notes.append(f"gantry tilt of {tilt:.1f}° resampled")
    if notes:
        image.SetMetaData(NOTE, ", ".join(notes))
    return image


def ordered_slices(files: list[Path]) -> list[tuple[Slice, Path]]:
    """The slices of one series, each once, sorted along their normal; checked.

    Their positions and axes are those of the headers, before any resampling.  Frames
    of one file are slices, each with the path of that file.  Errors as `read_series`.
    """
    stack, _ = _ordered(files)
    return stack


def _ordered(files: list[Path]) -> tuple[list[tuple[Slice, Path]], list[str]]:
    """The chosen slices in order, each with its file, and what was left out."""
    file_of = {id(h): (h, path) for path in files for h in _checked(path)}
    chosen, reason = choose_series(h for h, _ in file_of.values() if not h.scout)
    if not chosen:
        raise _refused(reason)
    if len(chosen) < FEWEST:
        raise _refused(f"{len(chosen)} slices", EXPORT, f"at least {FEWEST} slices")
    axes = np.median([header.axes for header in chosen], axis=0).reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-3):
        raise _refused("axes of the slices are not at right angles")
    notes = []
    if others := len(file_of) - len(chosen):
        notes.append(f"{others} scouts or slices of another geometry left out")
    order = np.argsort(offsets_of(chosen), kind="stable")
    stack = _without_copies([file_of[id(chosen[k])] for k in order])
    if copies := len(chosen) - len(stack):
        notes.append(f"{copies} slices were there twice")
    return stack, notes


def _without_copies(stack: list[tuple[Slice, Path]]) -> list[tuple[Slice, Path]]:
    """Each slice of a sorted stack once; SkfmError if others share its position."""
    gaps = np.diff(offsets_of([header for header, _ in stack]))
    second = set((np.flatnonzero(gaps < SAME_POSITION) + 1).tolist())
    involved = sorted(second | {k - 1 for k in second})
    if not involved:
        return stack
    pixels = dict(zip(involved, hounsfield([stack[k] for k in involved])))
    different = 0
    for k in second:
        moved = np.subtract(stack[k][0].position, stack[k - 1][0].position)
        same = np.abs(moved).max() < SAME_POSITION
        different += not (same and np.array_equal(pixels[k], pixels[k - 1]))
    if different:
        found = f"{different} slices lie where others do, with other pixels"
        raise _refused(found, "export one reconstruction of the scan")
    return [pair for k, pair in enumerate(stack) if k not in second]


def _checked(path: Path) -> list[Slice]:
    headers = read_slices(path)
    if not headers:
        raise _refused("a file that is no DICOM slice")
    for header in headers:
        if header.modality != "CT":
            remedy = "take the patient's CT, not pictures of it"
            raise _refused(f"modality {header.modality}", remedy, "CT")
        if not header.pixels:
            raise _refused("a slice has no pixels")
        if header.frames > 1 and not header.position:
            remedy = "export the series as single slices"
            raise _refused("several slices in one file, without positions", remedy)
        if lacking := header.lacking:
            raise _refused(f"a slice states no {lacking}")
        if not header.decodable:
            remedy = "decompress it, as with gdcmconv --raw"
            raise _refused("compressed in a way that cannot be read here", remedy)
    return headers


def _step(headers: list[Slice], offsets: np.ndarray, count: int) -> np.ndarray:
    """The vector between `count` even slices, mm in LPS; SkfmError for a curve."""
    positions = np.array([header.position for header in headers])
    whole = positions[-1] - positions[0]
    share = (offsets - offsets[0]) / (offsets[-1] - offsets[0])
    away = np.linalg.norm(positions - positions[0] - share[:, None] * whole, axis=1)
    if away.max() > np.median(np.diff(offsets)):
        raise _refused("the slices lie along a curve", EXPORT, "a straight stack")
    return whole / (count - 1)


def _set_geometry(
    image: sitk.Image, first: Slice, axes: np.ndarray, step: np.ndarray
) -> float:
    """Set the geometry that the headers state; return the tilt in degrees."""
    rows, columns = first.spacing
    length = float(np.linalg.norm(step))
    cosine = np.dot(step, axes[2]) / length
    tilt = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    normal = step / length if tilt > TILT else axes[2]
    image.SetSpacing((columns, rows, length))
    image.SetOrigin(first.position)
    image.SetDirection(np.column_stack([axes[0], axes[1], normal]).ravel().tolist())
    return tilt


def _refused(found: str, remedy: str = EXPORT, expected: str = "") -> SkfmError:
    return SkfmError(found, expected or "a series of CT slices of one patient", remedy)
