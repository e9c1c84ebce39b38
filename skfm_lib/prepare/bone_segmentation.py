"""Segment the skull in a CT scan, and voxelise its surface."""

import numpy as np
import pyvista as pv
import SimpleITK as sitk
from scipy import ndimage

from skfm_lib.data.bone_fractions import FINEST, LEVEL, as_bytes, block_fractions
from skfm_lib.data.io.volumes import LPS_TO_RAS
from skfm_lib.data.voxels import FULL_BYTE, Grid, isosurface, voxelise
from skfm_lib.presets.grid_sizes import PAPER_SPACING
from skfm_lib.utils.errors import SkfmError

THRESHOLD = 200.0  # HU, compact bone; 150–300 is usual (MUG500+, AutoImplant: 150)
REACH = 300.0  # HU around the threshold to which values are clipped, against metal
SMALLEST_PART = 0.05  # share of the largest part; a mandible is 7–12 % of a skull
MARGIN = 10.0  # mm by which a part may exceed the cranium, seen from above
INSIDE = 0.9  # share of a part that must lie within that margin
AIR, AIR_SHARE = -200.0, 0.01  # HU, and share of a CT's voxels that is below
SOFT_SHARE = 0.5  # of the voxels that are not air; three quarters in a head CT
POSSIBLE_BONE = (30.0, 3000.0)  # ml; a complete skull: 400–1200, with vertebrae 1500
BORDERS = ("lower", "upper", "posterior", "anterior", "left", "right")
NEIGHBOURS = np.ones((3, 3, 3), bool)  # voxels that share a corner are connected


def bone_mesh(image: sitk.Image, threshold: float = THRESHOLD) -> pv.PolyData:
    """The surface of the skull in a scan, in the scan's own RAS mm, normals outward.

    Pinholes are sealed by grey-value closing over one voxel.  The largest connected
    part is the cranium.  Another part, such as the mandible, is kept if it has at least
    SMALLEST_PART of its volume and, seen from above, lies within the cranium's bounding
    rectangle and MARGIN around it, where head holders do not.  Vertebrae below the
    skull are kept.  The surface is open where the skull leaves the field of view.

    Args:
        image: A CT from `read_scan`; an image of two values is used as a mask.  In the
            project's own fractions of bone nothing is sealed.
        threshold: HU above which a voxel is bone.

    Raises:
        SkfmError: No voxel is above the threshold, there is no air (an MR, or a CT
            without its rescale intercept), or the volume of bone is implausible.
    """
    values = sitk.GetArrayViewFromImage(image)
    low, high = float(values.min()), float(values.max())
    mask, fractions = _is_mask(values, low, high), _is_fractions(image, values)
    if mask:
        threshold = (low + high) / 2
    elif fractions:
        threshold = LEVEL
    else:
        _check_hounsfield(values, threshold, low, high)
    bone_box = ndimage.find_objects((values > threshold).view(np.int8))[0]
    box = _enlarged(bone_box, 2, 2, 2)
    reach = min(REACH, high - threshold)
    field = np.clip(values[box].astype(np.float32) - threshold, -reach, reach)
    if not fractions:
        field = _box_filter(np.minimum, _box_filter(np.maximum, field))
    skull = _skull_parts(field > 0, image.GetSpacing())
    _check_amount(skull, image, None if mask or fractions else threshold)
    field[~_box_filter(np.maximum, skull)] = -reach  # other parts
    affine = _affine(image)
    affine[:3, 3] += affine[:3, :3] @ [side.start for side in box]
    return isosurface(field, affine, 0.0)


def bone_voxels(mesh: pv.PolyData, grid: Grid) -> np.ndarray:
    """Voxelise a registered skull (D, H, W), with thin walls preserved.

    A fine grid has bits: bone is where a voxel's centre is.  A grid coarser than FINEST
    has the `block_fractions`, as bytes, of the voxels of the full size, 0.51 mm.
    """
    if grid.spacing <= FINEST:
        return voxelise(mesh, grid)
    factor = round(grid.spacing / PAPER_SPACING)
    return as_bytes(block_fractions(voxelise(mesh, grid.refined(factor)), factor))


def fractions_on(image: sitk.Image, grid: Grid) -> np.ndarray | None:
    """The fractions (D, H, W), bytes, of what `write_volume` wrote on `grid`.

    None for images of another kind or on another grid.
    """
    values, (depth, height, width) = sitk.GetArrayViewFromImage(image), grid.shape
    affine = _affine(image)[:, [1, 2, 0, 3]]  # of the order D, H, W
    same = image.GetSize() == (height, depth, width)
    same = same and np.allclose(affine, grid.affine, rtol=0, atol=1e-3)
    if not same or not _is_fractions(image, values):
        return None
    return as_bytes(np.transpose(values, (1, 2, 0)))


def touched_borders(mesh: pv.PolyData, image: sitk.Image) -> list[str]:
    """Faces of the scan's field of view that the skull reaches, such as "lower"."""
    index = to_index(mesh.points, image)
    last = np.array(image.GetSize()[::-1]) - 1
    touched = [np.abs(index - border).min(axis=0) < 1e-3 for border in (0, last)]
    return [name for name, hit in zip(BORDERS, np.transpose(touched).ravel()) if hit]


def to_index(points: np.ndarray, image: sitk.Image) -> np.ndarray:
    """Fractional array indices (n, 3), in the order z, y, x, of RAS points (n, 3)."""
    affine = _affine(image)
    return (points - affine[:3, 3]) @ np.linalg.inv(affine[:3, :3]).T


def _is_mask(values: np.ndarray, low: float, high: float) -> bool:
    """Whether there are only two values; a sparse sample already excludes most CTs."""
    return low < high and all(
        np.isin(some, (low, high)).all() for some in (values[::8, ::8, ::8], values)
    )


def _is_fractions(image: sitk.Image, values: np.ndarray) -> bool:
    """Whether it is as `write_volume` writes fractions: bytes / 255 on a coarse grid.

    The spacing, a multiple of the paper's, tells it from an MR or picture in 0 to 1.
    """
    spacing = np.array(image.GetSpacing()).round(5)
    factor = round(spacing[0] / PAPER_SPACING)
    if values.dtype.kind != "f" or spacing[0] <= FINEST:
        return False
    if not np.allclose(spacing, factor * PAPER_SPACING, rtol=0, atol=1e-4):
        return False
    scaled = values * np.float32(FULL_BYTE)
    whole = np.abs(scaled - scaled.round()) < 1e-3
    return bool(values.min() == 0 and LEVEL < values.max() <= 1 and whole.all())


def _check_hounsfield(
    values: np.ndarray, threshold: float, low: float, high: float
) -> None:
    expected = "a head CT in Hounsfield units, air at −1000"
    if low == high:
        raise SkfmError(f"every voxel is {low:g}", expected, "export it again")
    sample = values[::4, ::4, ::4]
    if (sample < AIR).mean() < AIR_SHARE:
        found = f"no air: values {low:g} to {high:g}, hardly a voxel below {AIR:g} HU"
        remedy = "an MR cannot be used; export a CT with its rescale intercept"
        if high <= 255:
            found = f"no Hounsfield units: values {low:g} to {high:g}"
            remedy = "export the CT itself, not a picture or an MR; or a mask of bone"
        elif _lacks_intercept(sample):
            found += "; it looks like a CT without its rescale intercept"
            remedy = (
                "export it again, or subtract 1024 (at times 1000) from every voxel"
            )
        raise SkfmError(found, expected, remedy)
    if not high > threshold:
        found = f"no bone: no voxel above {threshold:g} HU (highest {high:g})"
        remedy = "lower --threshold, or check the scan's rescale slope and intercept"
        raise SkfmError(found, expected, remedy)


def _lacks_intercept(sample: np.ndarray) -> bool:
    """Whether most of what is not air has the value of soft tissue plus 1024.

    An MR has no such peak, and many voxels between it and the background.
    """
    soft = np.count_nonzero((sample > 900) & (sample < 1200))
    between = np.count_nonzero((sample > 250) & (sample < 750))
    solid = np.count_nonzero(sample > 500)
    return bool(soft > SOFT_SHARE * solid and soft > 3 * between)


def _check_amount(
    skull: np.ndarray, image: sitk.Image, threshold: float | None
) -> None:
    """SkfmError for an impossible volume; the threshold is None for a mask."""
    volume = np.count_nonzero(skull) * float(np.prod(image.GetSpacing())) / 1000
    if not POSSIBLE_BONE[0] <= volume <= POSSIBLE_BONE[1]:
        found = f"{volume:.0f} ml in the mask"
        remedy = "mask bone alone, without brain and skin, and check the spacing"
        if threshold is not None:
            found = f"{volume:.0f} ml of bone above {threshold:g} HU"
            remedy = "set --threshold, and check the spacing and that it is of a head"
        expected = "a skull, {:g}–{:g} ml".format(*POSSIBLE_BONE)
        raise SkfmError(found, expected, remedy)


def _enlarged(box: tuple[slice, ...], *margins: int) -> tuple[slice, ...]:
    """The box with a margin in voxels along each axis."""
    return tuple(
        slice(max(0, side.start - margin), side.stop + margin)
        for side, margin in zip(box, margins, strict=True)
    )


def _box_filter(extreme: np.ufunc, values: np.ndarray) -> np.ndarray:
    """np.maximum or np.minimum over 3×3×3 voxels, five times as fast as SciPy's."""
    for axis in range(3):
        lines = np.moveaxis(values, axis, 0)
        values = values.copy()
        out = np.moveaxis(values, axis, 0)
        extreme(out[1:], lines[:-1], out=out[1:])
        extreme(out[:-1], lines[1:], out=out[:-1])
    return values


def _skull_parts(bone: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The cranium and the parts to keep with it, of bone (z, y, x) bool."""
    labels, _ = ndimage.label(bone, NEIGHBOURS)
    sizes = np.bincount(labels.ravel())[1:]
    boxes = ndimage.find_objects(labels)
    cranium = int(sizes.argmax())
    across = [round(MARGIN / spacing[axis]) for axis in (1, 0)]
    rectangle = _enlarged(boxes[cranium][1:], *across)
    kept = np.zeros(len(sizes) + 1, bool)
    for part in np.flatnonzero(sizes >= SMALLEST_PART * sizes[cranium]):
        region = (boxes[part][0], *rectangle)
        inside = np.count_nonzero(labels[region] == part + 1)
        kept[part + 1] = inside >= INSIDE * sizes[part]
    return kept[labels]


def _affine(image: sitk.Image) -> np.ndarray:
    """4×4 from homogeneous array index (z, y, x, 1) to RAS mm."""
    matrix = np.eye(4)
    direction = np.array(image.GetDirection()).reshape(3, 3) * image.GetSpacing()
    matrix[:3, :3] = (LPS_TO_RAS @ direction)[:, ::-1]
    matrix[:3, 3] = LPS_TO_RAS @ image.GetOrigin()
    return matrix
