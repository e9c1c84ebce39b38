"""A DICOM series as one volume, checked slice by slice."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.dicom_headers import Slice, read_slice
from skfm_lib.utils.errors import SkfmError

SAME_PLACE = 0.01  # mm between two slices that are one
EVEN = 0.1  # share of the spacing by which steps may differ (positions are rounded)
TILT = 0.5  # degrees between the stack and the slices' normal that count as tilt
FEWEST = 8  # slices of a volume
AIR = -1024.0  # HU beyond the edge of a slanted stack
NOTE = "skfm note"  # key of an image's metadata: what was done to it
DECODED = ("JPEG", "RLE")  # families of transfer syntaxes that GDCM decodes
EXPORT = "export the series again, from the archive it came from"


def read_series(files: list[Path]) -> sitk.Image:
    """The CT of one series in Hounsfield units; its metadata may hold a NOTE.

    Slices are sorted by their place along the normal.  A stack slanted by a tilted
    gantry is resampled to a straight one (linear, in the plane of the slices); files
    that are there twice are dropped.  SkfmError, which names no file and no patient:
    for files that cannot be read, several series, missing slices, uneven steps,
    different slices at one place, compressions that cannot be read.
    """
    found = [(read_slice(path), path) for path in files]
    if any(piece is None for piece, _ in found):
        raise _refused("a file that is no DICOM slice", EXPORT)
    for piece, path in found:
        _check_slice(piece, path)
    _check_alike([piece for piece, _ in found])
    stack, notes = _in_order(found)
    pieces = [piece for piece, _ in stack]
    step = _step(pieces)
    image = _pixels([path for _, path in stack])
    tilt = _place(image, pieces[0], step)
    if tilt > TILT:
        image = _straightened(image, pieces[0].normal)
        notes.append(f"gantry tilt of {tilt:.1f}° resampled")
    if notes:
        image.SetMetaData(NOTE, ", ".join(notes))
    return image


def _check_slice(piece: Slice, path: Path) -> None:
    if piece.modality != "CT":
        raise _refused(f"modality {piece.modality}", "take the patient's CT", "CT")
    if piece.end < 0:
        raise _refused("a slice has no pixels", EXPORT)
    if piece.frames > 1:
        raise _refused(
            "several slices in one file (enhanced CT)",
            "convert it to NIfTI, as with dcm2niix",
        )
    if piece.position is None or piece.axes is None or len(piece.spacing) != 2:
        raise _refused("a slice does not say where it lies", EXPORT)
    if piece.compressed and not piece.syntax.startswith(DECODED):
        raise _refused(
            "compressed in a way that cannot be read here",
            "decompress it, as with gdcmconv --raw",
        )
    if path.stat().st_size < piece.end:
        raise _refused("a slice is cut short", EXPORT)


def _check_alike(pieces: list[Slice]) -> None:
    first = pieces[0]
    for name, values in (
        ("patients", {p.patient for p in pieces}),
        ("series", {p.series for p in pieces}),
        ("layouts (size, spacing, direction or scale)", {p.layout for p in pieces}),
    ):
        if len(values) > 1:
            raise _refused(f"slices of {len(values)} {name} in one stack", EXPORT)
    axes = np.reshape(first.axes, (2, 3))
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-3):
        raise _refused("axes of the slices are not at right angles", EXPORT)
    if len(pieces) < FEWEST:
        raise _refused(f"{len(pieces)} slices", EXPORT, f"at least {FEWEST} slices")


def _in_order(
    found: list[tuple[Slice, Path]],
) -> tuple[list[tuple[Slice, Path]], list[str]]:
    """Sorted along the normal; a file that is there twice is kept once, and noted."""
    once = {piece.instance or str(path): (piece, path) for piece, path in found}
    stack = sorted(once.values(), key=lambda pair: pair[0].height)
    heights = [piece.height for piece, _ in stack]
    doubled = int((np.diff(heights) < SAME_PLACE).sum())
    if doubled:
        raise _refused(f"{doubled} slices lie where others do", EXPORT)
    again = len(found) - len(stack)
    return stack, [f"{again} slices were there twice"] if again else []


def _step(pieces: list[Slice]) -> np.ndarray:
    """The vector from slice to slice, mm in LPS; all must have about the same."""
    positions = np.array([piece.position for piece in pieces])
    steps = np.diff(positions, axis=0)
    lengths = steps @ pieces[0].normal
    usual = float(np.median(lengths))
    gaps = np.round(lengths / usual).astype(int) - 1
    off = np.abs(lengths / usual - np.round(lengths / usual))
    if gaps.sum() > 0 and off.max() < EVEN:
        raise _refused(
            f"{gaps.sum()} slices are missing within the stack (or its steps differ)",
            EXPORT,
        )
    step = (positions[-1] - positions[0]) / (len(pieces) - 1)
    straight = positions[0] + np.arange(len(pieces))[:, None] * step
    if np.abs(lengths / usual - 1).max() > EVEN:
        between = f"{lengths.min():.3g} to {lengths.max():.3g} mm"
        raise _refused(f"steps of {between} between slices", EXPORT, "even steps")
    if np.linalg.norm(positions - straight, axis=1).max() > usual:
        raise _refused("the slices lie along a curve", EXPORT, "a straight stack")
    return step


def _pixels(files: list[Path]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in files])
    try:
        image = reader.Execute()
    except RuntimeError as reason:
        raise _refused("the pixels of a slice cannot be read", EXPORT) from reason
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise _refused("slices in colour", "take the CT, not pictures of it")
    return image


def _place(image: sitk.Image, first: Slice, step: np.ndarray) -> float:
    """Set the geometry that the headers tell; return the tilt in degrees."""
    rows, columns = first.spacing
    length = float(np.linalg.norm(step))
    cosine = np.dot(step, first.normal) / length
    axes = np.column_stack([first.axes[:3], first.axes[3:], step / length])
    tilt = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    if tilt <= TILT:
        axes[:, 2] = first.normal
    image.SetSpacing((columns, rows, length))
    image.SetOrigin(first.position)
    image.SetDirection(axes.ravel().tolist())
    return tilt


def _straightened(image: sitk.Image, normal: np.ndarray) -> sitk.Image:
    """A slanted stack on a straight grid of the same slices, wide enough for all."""
    axes = np.array(image.GetDirection()).reshape(3, 3)
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    reach = axes[:, 2] * spacing[2] * (size[2] - 1)
    straight = np.column_stack([axes[:, 0], axes[:, 1], normal])
    shift = straight.T @ reach
    start = np.array(image.GetOrigin()) + straight @ np.minimum(shift * (1, 1, 0), 0)
    more = np.ceil(np.abs(shift[:2]) / spacing[:2]).astype(int)
    target = sitk.Image([*(size[:2] + more).tolist(), int(size[2])], sitk.sitkInt16)
    target.SetSpacing((*spacing[:2], shift[2] / (size[2] - 1)))
    target.SetOrigin(start.tolist())
    target.SetDirection(straight.ravel().tolist())
    return sitk.Resample(image, target, sitk.Transform(), sitk.sitkLinear, AIR)


def _refused(found: str, remedy: str, expected: str = "") -> SkfmError:
    return SkfmError(found, expected or "a series of CT slices of one patient", remedy)
