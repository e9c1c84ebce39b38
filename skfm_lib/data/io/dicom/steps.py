"""Steps between the slices of a stack: even, changed by the scanner, or incomplete."""

import numpy as np

from skfm_lib.data.io.dicom.files import EXPORT
from skfm_lib.data.io.dicom.headers import Slice
from skfm_lib.data.io.scan_checks import MOST_VOXELS, THICK, UNEVEN
from skfm_lib.utils.errors import SkfmError

ROUNDED = 0.2  # share of the step by which positions may be beside even ones
EVEN = 0.1  # share of the step by which the steps of one block may differ
BLOCK = 3  # steps of about one length that a scanner acquires in a row, at least


def even_steps(offsets: np.ndarray, first: Slice) -> np.ndarray:
    """Offsets with even steps, mm, from the first slice to the last.

    Those given, where their steps are even.  Where a scanner changed the step on the
    way, as from a thin base to a thick vault, offsets with the smallest step.

    Args:
        offsets: (n,) of the slices along their normal, ascending.
        first: Any of them, for its size and spacing.

    Raises:
        SkfmError: for missing slices, irregular steps, changed steps that are too large
            for the walls of a skull (THICK), and too many voxels.
    """
    steps = np.diff(offsets)
    usual = float(np.median(steps))
    grid, even = offsets, np.linspace(offsets[0], offsets[-1], len(offsets))
    apart = np.abs(offsets - even).max()
    if apart > ROUNDED * usual:
        blocks = _blocks(steps)
        if len(blocks) > 1 and not _as_acquired(blocks):
            raise _irregular(steps, usual)
        _check_thickness(steps, first)
        smallest = min(float(np.mean(block)) for block in blocks)
        count = round((offsets[-1] - offsets[0]) / smallest)
        grid = np.linspace(offsets[0], offsets[-1], max(count, len(steps)) + 1)
    if len(grid) * first.shape[0] * first.shape[1] > MOST_VOXELS:
        found = f"{len(grid)} slices of {first.shape[0]}×{first.shape[1]} pixels"
        expected = f"at most {MOST_VOXELS:,} voxels"
        raise SkfmError(found, expected, "export the head only")
    return grid


def resampled(
    values: np.ndarray, offsets: np.ndarray, targets: np.ndarray
) -> np.ndarray:
    """Slices (n, rows, columns) at offsets between theirs, by linear interpolation."""
    above = np.clip(np.searchsorted(offsets, targets), 1, len(offsets) - 1)
    below = above - 1
    weights = (targets - offsets[below]) / (offsets[above] - offsets[below])
    weights = weights.astype(np.float32)
    result = np.empty((len(targets), *values.shape[1:]), values.dtype)
    for k, (low, high, weight) in enumerate(zip(below, above, weights)):
        between = values[low] * (1 - weight) + values[high] * weight
        result[k] = between if values.dtype.kind == "f" else np.rint(between)
    return result


def _blocks(steps: np.ndarray) -> list[list[float]]:
    """Runs of steps of about one length."""
    if np.abs(steps / np.median(steps) - 1).max() <= EVEN:
        return [steps.tolist()]
    blocks: list[list[float]] = []
    for step in steps.tolist():
        if blocks and abs(step / np.median(blocks[-1]) - 1) <= EVEN:
            blocks[-1].append(step)
        else:
            blocks.append([step])
    return blocks


def _as_acquired(blocks: list[list[float]]) -> bool:
    """Whether blocks of slices follow each other, at most one step between two.

    That step is between the steps of the blocks; a larger one is a missing slice.
    """
    for k, block in enumerate(blocks):
        if len(block) < BLOCK:
            if len(block) > 1 or not 0 < k < len(blocks) - 1:
                return False
            sides = sorted(float(np.mean(blocks[j])) for j in (k - 1, k + 1))
            if not sides[0] * (1 - EVEN) <= block[0] <= sides[1] * (1 + EVEN):
                return False
    return True


def _check_thickness(steps: np.ndarray, first: Slice) -> None:
    """The rule of `scan_checks.check_scan`, on the slices as they were acquired."""
    most = max(THICK, UNEVEN * min(first.spacing))
    if steps.max() > most * (1 + EVEN / 10):
        found = (
            f"slices {steps.min():.3g} mm apart in one part of the scan and "
            f"{steps.max():.3g} mm in another, as acquired"
        )
        expected = f"at most {most:.3g} mm, for the walls of a skull"
        raise SkfmError(found, expected, "take a thin series of the same scan")


def _irregular(steps: np.ndarray, usual: float) -> SkfmError:
    multiples = steps / usual
    missing = int(np.round(multiples).sum()) - len(steps)
    # All steps are multiples of the usual one, and a few larger: slices are missing.
    if (
        0 < missing <= len(steps) / 4
        and np.abs(multiples - np.round(multiples)).max() < EVEN
    ):
        found = f"{missing} slice{'s' * (missing > 1)} missing within the stack"
        return SkfmError(found, "a complete series", EXPORT)
    between = f"{steps.min():.3g} to {steps.max():.3g} mm"
    found, expected = f"irregular steps of {between} between slices", "even steps"
    return SkfmError(found, expected, EXPORT)
