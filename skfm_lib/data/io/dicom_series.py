"""A DICOM series as one volume, checked slice by slice."""

from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.dicom_headers import Slice, read_slice
from skfm_lib.utils.errors import SkfmError

SAME_POSITION = 0.01  # mm, below which two slices have one position
EVEN = 0.1  # share of the spacing by which steps may differ (positions are rounded)
TILT = 0.5  # degrees between the stack and the slices' normal that count as tilt
FEWEST = 8  # slices of a volume
AIR = -1024.0  # HU beyond the edge of a slanted stack
NOTE = "skfm note"  # key of an image's metadata: what was changed or is unknown
EXPORT = "export the series again, from the archive it came from"


def read_series(files: list[Path]) -> sitk.Image:
    """The CT of one series in Hounsfield units; its metadata may have a NOTE.

    Slices are sorted by their position along the normal; copies of a slice are
    dropped.  A stack slanted by a tilted gantry is resampled to a rectangular one
    (linear interpolation, in the plane of the slices).

    Raises:
        SkfmError: for files that cannot be read, several series, missing slices,
            uneven steps, different slices at one position, and unknown compressions;
            it names no file and no patient.
    """
    read = [(_checked_slice(path), path) for path in files]
    _check_alike([header for header, _ in read])
    unique = {header.instance or str(path): (header, path) for header, path in read}
    stack = sorted(unique.values(), key=lambda pair: pair[0].offset)
    headers = [header for header, _ in stack]
    step = _step(headers)
    image = _pixels([path for _, path in stack])
    tilt, copies = _set_geometry(image, headers[0], step), len(read) - len(stack)
    notes = [f"{copies} slices were there twice"] if copies else []
    if tilt > TILT:
        image = _straightened(image, headers[0].normal)
        notes.append(f"gantry tilt of {tilt:.1f}° resampled")
    if notes:
        image.SetMetaData(NOTE, ", ".join(notes))
    return image


def _checked_slice(path: Path) -> Slice:
    header = read_slice(path)
    if header is None:
        raise _refused("a file that is no DICOM slice")
    if header.modality != "CT":
        raise _refused(f"modality {header.modality}", "take the patient's CT", "CT")
    if header.end < 0:
        raise _refused("a slice has no pixels")
    if header.frames > 1:
        remedy = "convert it to NIfTI, as with dcm2niix"
        raise _refused("several slices in one file (enhanced CT)", remedy)
    if not (header.position and header.axes and header.spacing):
        raise _refused("a slice does not state its position")
    if not header.decodable:
        remedy = "decompress it, as with gdcmconv --raw"
        raise _refused("compressed in a way that cannot be read here", remedy)
    if path.stat().st_size < header.end:
        raise _refused("a slice is cut short")
    return header


def _check_alike(headers: list[Slice]) -> None:
    for name, values in (
        ("patients", {h.patient for h in headers}),
        ("series", {h.series for h in headers}),
        ("layouts (size, spacing, direction or scale)", {h.layout for h in headers}),
    ):
        if len(values) > 1:
            raise _refused(f"slices of {len(values)} {name} in one stack")
    axes = np.array(headers[0].axes).reshape(2, 3)
    if not np.allclose(axes @ axes.T, np.eye(2), atol=1e-3):
        raise _refused("axes of the slices are not at right angles")
    if len(headers) < FEWEST:
        raise _refused(f"{len(headers)} slices", EXPORT, f"at least {FEWEST} slices")


def _step(headers: list[Slice]) -> np.ndarray:
    """The vector from slice to slice, mm in LPS, which must be about constant."""
    positions = np.array([header.position for header in headers])
    lengths = np.diff(positions, axis=0) @ headers[0].normal
    if doubled := int((lengths < SAME_POSITION).sum()):
        raise _refused(f"{doubled} slices lie where others do")
    usual = float(np.median(lengths))
    steps = lengths / usual
    missing = int(np.round(steps).sum()) - len(steps)
    # All steps are multiples of the usual one, and some larger: slices are missing.
    if missing > 0 and np.abs(steps - np.round(steps)).max() < EVEN:
        found = f"{missing} slices are missing within the stack (or its steps differ)"
        raise _refused(found)
    if np.abs(steps - 1).max() > EVEN:
        between = f"{lengths.min():.3g} to {lengths.max():.3g} mm"
        raise _refused(f"steps of {between} between slices", EXPORT, "even steps")
    step = (positions[-1] - positions[0]) / (len(headers) - 1)
    straight = positions[0] + np.arange(len(headers))[:, None] * step
    if np.linalg.norm(positions - straight, axis=1).max() > usual:
        raise _refused("the slices lie along a curve", EXPORT, "a straight stack")
    return step


def _pixels(files: list[Path]) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames([str(path) for path in files])
    try:
        image = reader.Execute()
    except RuntimeError as reason:
        raise _refused("the pixels of a slice cannot be read") from reason
    if image.GetDimension() != 3 or image.GetNumberOfComponentsPerPixel() != 1:
        raise _refused("slices in colour", "take the CT, not pictures of it")
    return image


def _set_geometry(image: sitk.Image, first: Slice, step: np.ndarray) -> float:
    """Set the geometry that the headers state; return the tilt in degrees."""
    rows, columns = first.spacing
    length = float(np.linalg.norm(step))
    cosine = np.dot(step, first.normal) / length
    tilt = float(np.rad2deg(np.arccos(np.clip(cosine, -1, 1))))
    normal = step / length if tilt > TILT else first.normal
    axes = np.column_stack([first.axes[:3], first.axes[3:], normal])
    image.SetSpacing((columns, rows, length))
    image.SetOrigin(first.position)
    image.SetDirection(axes.ravel().tolist())
    return tilt


def _straightened(image: sitk.Image, normal: np.ndarray) -> sitk.Image:
    """A slanted stack on a rectangular grid of the same slices, wide enough for all."""
    axes = np.array(image.GetDirection()).reshape(3, 3)
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    # From the first slice to the last, along rows, columns and normal, mm.
    straight = np.column_stack([axes[:, 0], axes[:, 1], normal])
    shift = straight.T @ axes[:, 2] * spacing[2] * (size[2] - 1)
    # The grid begins where the slices that lie lowest in the plane begin.
    start = np.array(image.GetOrigin()) + straight @ np.minimum(shift * (1, 1, 0), 0)
    more = np.ceil(np.abs(shift[:2]) / spacing[:2]).astype(int)
    target = sitk.Image([*(size[:2] + more).tolist(), int(size[2])], sitk.sitkInt16)
    target.SetSpacing((*spacing[:2], shift[2] / (size[2] - 1)))
    target.SetOrigin(start.tolist())
    target.SetDirection(straight.ravel().tolist())
    return sitk.Resample(image, target, sitk.Transform(), sitk.sitkLinear, AIR)


def _refused(found: str, remedy: str = EXPORT, expected: str = "") -> SkfmError:
    return SkfmError(found, expected or "a series of CT slices of one patient", remedy)
