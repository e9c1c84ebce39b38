"""Rectangular grids for images whose axes are not at right angles."""

import itertools

import numpy as np
import SimpleITK as sitk

NOTE = "skfm note"  # key of an image's metadata: what was changed or is unknown
ROUNDED = 0.003  # degrees from a right angle: more than float32 rounds
TILTED = 0.5  # degrees: more than matrices written with 2 or 3 decimals have


def note_of(image: sitk.Image) -> str:
    """What was changed in an image or is unknown about it; "" for nothing."""
    return image.GetMetaData(NOTE) if image.HasMetaDataKey(NOTE) else ""


def add_note(image: sitk.Image, note: str) -> None:
    """Append to what was changed in an image or is unknown about it."""
    image.SetMetaData(NOTE, ", ".join(filter(None, (note_of(image), note))))


def set_affine(image: sitk.Image, matrix: np.ndarray, origin: np.ndarray) -> None:
    """Set the geometry: (3, 3) columns of mm a voxel along x, y, z, and origin, LPS."""
    spacing = np.linalg.norm(matrix, axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetDirection((matrix / spacing).ravel().tolist())
    image.SetOrigin(origin.tolist())


def skew(image: sitk.Image) -> float:
    """The largest deviation of two axes (of length 1) from a right angle, degrees."""
    axes = np.array(image.GetDirection()).reshape(3, 3)
    cosines = np.abs((axes.T @ axes)[np.triu_indices(3, 1)])
    return float(np.rad2deg(np.arcsin(np.clip(cosines, 0, 1))).max())


def rectangular(image: sitk.Image) -> sitk.Image:
    """The image on a grid whose axes are at right angles, noting what was changed.

    Axes within TILTED of right angles keep their voxels and get the nearest rotation
    (polar decomposition); others are resampled (linear interpolation; the smallest
    value outside), as for a tilted gantry.  Integers are rounded.
    """
    angle = skew(image)
    if angle <= TILTED:
        return _rotated(image, angle)
    values = sitk.GetArrayViewFromImage(image)
    outside, integers = float(values.min()), values.dtype.kind in "iu"
    grid = rectangular_grid(image)
    given = sitk.Transform(), sitk.sitkLinear, outside, sitk.sitkFloat32
    straight = sitk.Resample(image, grid, *given)
    if integers:
        straight = sitk.Cast(sitk.Round(straight), image.GetPixelID())
    for key in image.GetMetaDataKeys():
        straight.SetMetaData(key, image.GetMetaData(key))
    add_note(straight, f"axes {angle:.1f}° from right angles: shear resampled")
    return straight


def rectangular_grid(image: sitk.Image) -> sitk.Image:
    """An empty image (uint8) on the grid that `rectangular` gives an image.

    The two axes that are closest to a right angle are kept, as those of the slices of a
    tilted stack; the third becomes their normal.
    """
    size, spacing = np.array(image.GetSize()), np.array(image.GetSpacing())
    axes = np.array(image.GetDirection()).reshape(3, 3)
    angle = skew(image)
    if angle <= TILTED:
        grid = sitk.Image(image.GetSize(), sitk.sitkUInt8)
        grid.CopyInformation(image)
        return _rotated(grid, angle)
    pairs = itertools.combinations(range(3), 2)
    first, second = min(
        pairs, key=lambda pair: abs(axes[:, pair[0]] @ axes[:, pair[1]])
    )
    third = 3 - first - second
    straight = axes.copy()
    straight[:, third] = np.cross(axes[:, first], axes[:, second])
    straight[:, third] *= np.sign(straight[:, third] @ axes[:, third])
    straight = _nearest_rotation(straight)
    # The grid contains all corners of the sheared one.
    corners = np.array(list(itertools.product((0, 1), repeat=3))) * (size - 1) * spacing
    reached = corners @ (axes.T @ straight)
    step = spacing * np.abs((axes * straight).sum(axis=0))
    low, extent = reached.min(axis=0), np.ptp(reached, axis=0)
    count = np.ceil(extent / step - 1e-3).astype(int) + 1
    grid = sitk.Image(count.tolist(), sitk.sitkUInt8)
    set_affine(grid, straight * step, np.array(image.GetOrigin()) + straight @ low)
    return grid


def _rotated(image: sitk.Image, angle: float) -> sitk.Image:
    axes = np.array(image.GetDirection()).reshape(3, 3)
    image.SetDirection(_nearest_rotation(axes).ravel().tolist())
    if angle > ROUNDED:
        add_note(image, f"axes {angle:.2g}° from right angles: made rectangular")
    return image


def _nearest_rotation(axes: np.ndarray) -> np.ndarray:
    """The orthogonal matrix nearest to (3, 3) axes (polar decomposition)."""
    left, _, right = np.linalg.svd(axes)
    return left @ right
