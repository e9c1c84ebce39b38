"""The slices of a study as stacks of one geometry, and the choice among these.

A series' identifier is not enough: a scout may have that of the scan, several
reconstructions may share one, and some programs give each slice its own.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable
from typing import TypeVar

import numpy as np

from skfm_lib.data.io.dicom.headers import Slice

FEWEST = 8  # slices of a volume
THIN = 1.3  # mm between slices, for the walls of orbits and sinuses; CQ500: 0.625
FULL = 100.0  # mm along the normal: more than scans of the inner ears or the orbits
SAME_POSITION = 0.01  # mm, below which two slices have one position
SAME_AXES = 2e-3  # largest difference of direction cosines within a stack: 0.1°
SAME_SPACING = 1e-3  # largest difference of pixel sizes within a stack, share
STRAY = 2  # slices of another tilt that are pictures rather than part of the scan
OTHER_VIEW = 0.7  # cosine, below which two stacks are other views, as coronal and axial

T = TypeVar("T")


def choose_series(slices: Iterable[Slice]) -> tuple[list[Slice], str]:
    """The stack of CT slices of one study to use, and why, without identifiers.

    Stacks of more than 8 bits are preferred, then those of a full head, thin slices
    (THIN), no contrast agent, the longest extent, the finest spacing.  The list is
    empty if no stack can be used; the text then gives the reason.

    Args:
        slices: CT slices, no scouts.
    """
    found = stacks(slices)
    usable = [own for own in found if not any(piece.lacking for piece in own)]
    if not found:
        return [], "no CT slices besides scouts"
    if not usable:
        lacking = [p.lacking for own in found for p in own if p.lacking]
        what, total = " and no ".join(sorted(set(lacking))), sum(map(len, found))
        remedy = "export the series again, from the archive it came from"
        return (
            [],
            f"{len(lacking)} of {total} CT slices state no {what}; next: {remedy}",
        )
    chosen = max(usable, key=_rank)
    tilted = [own for own in usable if _tilt_changes(own, chosen)]
    if sum(map(len, tilted)) > STRAY:
        tilts = f"{len(tilted) + 1} tilts"
        changes = f"the tilt of the slices changes within the series ({tilts})"
        return [], f"{changes}; next: export the slices of each tilt as a series"
    joined, notes = len({piece.series for piece in chosen}), []
    if joined > 1:
        notes.append(f"{joined} series of single slices joined by their geometry")
    if len(found) > 1:
        others = Counter(_why_not(own, chosen) for own in usable if own is not chosen)
        others["without positions"] = len(found) - len(usable)
        plain, extent, spacing = _measures(chosen)
        named = ", ".join(f"{n} {why}" for why, n in others.items() if n)
        notes.append(
            f"of {len(found)} series the one with slices every {spacing:.2g} mm over "
            f"{extent:.0f} mm, {'plain' if plain else 'contrast'}; not {named}"
        )
    return chosen, "; ".join(notes)


def stacks(slices: Iterable[Slice]) -> list[list[Slice]]:
    """Group slices that may be one volume, in their order.

    These have one series, size, orientation and pixel spacing.  What is left of series
    of few slices is grouped by geometry instead; reconstructions that share positions
    are told apart by what their headers state.
    """
    whole, few = [], []
    for own in _grouped(slices, lambda piece: (piece.series, piece.shape)):
        parts = _of_one_geometry(own)
        whole += [part for part in parts if len(part) >= FEWEST]
        few += [part for part in parts if len(part) < FEWEST]
    loose = [piece for part in few for piece in part]
    frames = len({piece.frame_of_reference for piece in loose})
    told = frames < len(few)  # otherwise each slice has one of its own, too
    for own in _grouped(
        loose, lambda piece: (piece.shape, told and piece.frame_of_reference)
    ):
        whole += _of_one_geometry(own)
    return [part for own in whole for part in _separated(own)]


def axes_of(own: list[Slice]) -> np.ndarray:
    """Rows: the stack's unit vectors along rows, columns and normal, LPS.

    The nearest orthonormal vectors to the median of the slices', which may be rounded.
    """
    median = np.median([piece.axes for piece in own], axis=0).reshape(2, 3)
    left, _, right = np.linalg.svd(median, full_matrices=False)
    rows, columns = left @ right
    return np.stack([rows, columns, np.cross(rows, columns)])


def offsets_of(own: list[Slice]) -> np.ndarray:
    """Positions along the normal of the stack, mm (InstanceNumber may mislead)."""
    return np.array([piece.position for piece in own]) @ axes_of(own)[2]


def _grouped(items: Iterable[T], key: Callable[[T], Hashable]) -> list[list[T]]:
    groups = defaultdict(list)
    for item in items:
        groups[key(item)].append(item)
    return list(groups.values())


def _of_one_geometry(own: list[Slice]) -> list[list[Slice]]:
    """Slices of one size by axes and spacing; all together if one states none."""
    if any(piece.lacking for piece in own):
        return [own]
    # Differences from the first slice of each part count, in units of those allowed.
    allowed = np.array([SAME_AXES] * 6 + [SAME_SPACING] * 2)
    firsts, found = np.empty((len(own), 8)), list[list[Slice]]()
    for piece in own:
        geometry = np.array([*piece.axes, *np.log(piece.spacing)]) / allowed
        apart = np.abs(firsts[: len(found)] - geometry).max(axis=1)
        if (apart <= 1).any():
            found[int(apart.argmin())].append(piece)
        else:
            firsts[len(found)] = geometry
            found.append([piece])
    return found


def _separated(own: list[Slice]) -> list[list[Slice]]:
    """Reconstructions that share positions, if an attribute tells all of them apart."""
    most = _most_at_one_position(own)
    for k in range(len(own[0].reconstruction) if most > 1 else 0):
        parts = _by_attribute(own, k)
        fewer = all(_most_at_one_position(part) < most for part in parts)
        if 1 < len(parts) <= most and fewer:
            return [piece for part in parts for piece in _separated(part)]
    return [own]


def _by_attribute(own: list[Slice], k: int) -> list[list[Slice]]:
    return _grouped(own, lambda piece: piece.reconstruction[k])


def _most_at_one_position(own: list[Slice]) -> int:
    """The largest number of slices at one position; copies of a file count once."""
    if any(piece.lacking for piece in own):
        return 1
    bins = np.round(offsets_of(own) / SAME_POSITION).tolist()
    different = {(bin, piece.instance, piece.frame) for bin, piece in zip(bins, own)}
    return max(Counter(bin for bin, _, _ in different).values())


def _measures(own: list[Slice]) -> tuple[bool, float, float]:
    """Whether a series is plain, its extent along the normal and its spacing, mm."""
    offsets = np.unique(np.round(offsets_of(own), 3))
    spacing = np.median(np.diff(offsets)) if len(offsets) > 1 else np.inf
    return own[0].plain, float(np.ptp(offsets)), float(spacing)


def _rank(own: list[Slice]) -> tuple[bool, bool, bool, bool, int, float]:
    plain, extent, spacing = _measures(own)
    full, thin = extent >= FULL, spacing <= THIN
    return own[0].bits > 8, full, thin, plain, round(extent / 10), -spacing


def _why_not(own: list[Slice], chosen: list[Slice]) -> str:
    plain, extent, spacing = _measures(own)
    best_plain, best_extent, best_spacing = _measures(chosen)
    if own[0].bits <= 8 < chosen[0].bits:
        return "of 8 bits"
    ends = [np.sort(offsets)[[0, -1]] for offsets in map(offsets_of, (own, chosen))]
    if ends[0][0] > ends[1][1] or ends[0][1] < ends[1][0]:
        return "of another part of the body"
    if best_plain and not plain:
        return "with contrast"
    if spacing > 1.05 * best_spacing:
        return "with thicker slices"
    return "shorter" if extent < best_extent - 10 else "much the same"


def _tilt_changes(own: list[Slice], chosen: list[Slice]) -> bool:
    """Whether a stack continues the chosen one of the same series at another tilt."""
    if own is chosen or not {s.series for s in own} & {s.series for s in chosen}:
        return False
    normal = axes_of(chosen)[2]
    if not OTHER_VIEW < axes_of(own)[2] @ normal < 1 - 1e-7:
        return False
    at, inside = (np.array([s.centre for s in part]) @ normal for part in (own, chosen))
    return bool(at.min() < inside.min() or at.max() > inside.max())
