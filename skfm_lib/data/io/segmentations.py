"""Label maps and masks: which of their labels is the skull.

Slicer's .seg.nrrd names its segments in the header; several layers of them are several
values per voxel.  Label maps of nnU-Net, TotalSegmentator and ITK-SNAP are integers,
mostly without names.
"""

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.io.grids import add_note, note_of
from skfm_lib.utils.errors import SkfmError

NAMED = re.compile(r"Segment(\d+)_Name$")  # key of an image's metadata
MOST_LABELS, HIGHEST = 500, 2**16 - 1
ROUNDED = 0.01  # by which labels that were saved as scaled integers differ from whole
ALIKE = 0.25  # see `label_values`; CTs of 8 bits in usual windows: 0.00–0.16
LISTED, LONGEST = 10, 30  # labels in a message, and characters of a name
SKULL = {"skull", "bone", "bones", "cranium"}
MANDIBLE = {"mandible", "mandibula", "jaw"}
NEUTRAL = set(
    "and with of the ct head cranial mask segment segmentation label full whole "
    "complete lower structure hard compact".split()
)


class Segment(NamedTuple):
    """A label: its name ("" if it has none), the layer it is in, and its value."""

    name: str
    layer: int
    value: int

    def __str__(self) -> str:
        printable = "".join(c if c.isprintable() else " " for c in self.name)
        named = f"{printable[:LONGEST]} ({self.value})"
        return named if self.name else str(self.value)


def bone_mask(path: Path, image: sitk.Image, label: str = "") -> sitk.Image:
    """The skull in a segmentation as a mask of 0 and 1; any other image unchanged.

    A segmentation is an image that names segments, has two values, or is a label map
    (see `label_values`).  Of several labels, the skull is `label`; without it, the one
    whose name says so, together with a mandible that is named.  The metadata note which
    was taken.

    Args:
        path: Named in errors.
        image: Axes and values of the file; of several layers, a vector image.
        label: Names or values of labels, separated by commas; what it names is joined.

    Raises:
        SkfmError: if the labels asked for are not there, or it is not clear which is
            the skull; it lists what there is.
    """
    values = sitk.GetArrayViewFromImage(image)
    values = values.reshape(*values.shape[:3], -1)  # the layers last
    sizes = _named_labels(image, values)
    if not sizes and values.shape[-1] == 1:
        labels = label_values(values[..., 0], stated=bool(label))
        sizes = {Segment("", 0, value): count for value, count in labels.items()}
    if not sizes:
        if values.shape[-1] > 1:
            found = f"{path}: a segmentation in which no voxel has a label"
            raise SkfmError(found, "labels that are integers", "export it again")
        if label:
            add_note(image, "it has no labels to choose from")
        return image
    chosen = _asked(path, image, sizes, label) if label else _skull(path, image, sizes)
    mask = np.zeros(values.shape[:3], bool)
    for segment in chosen:
        layer = values[..., segment.layer]
        whole = np.rint(layer) if layer.dtype.kind == "f" else layer
        mask |= whole == segment.value
    result = sitk.GetImageFromArray(mask.view(np.uint8))
    result.CopyInformation(image)
    add_note(result, note_of(image))
    if len(sizes) > 1:
        add_note(result, f"label {' and '.join(map(str, chosen))} of {len(sizes)}")
    return result


def label_values(values: np.ndarray, stated: bool = False) -> dict[int, int]:
    """Value → voxels of the labels in a label map, without its background; or {}.

    A label map has two values, or at most MOST_LABELS integers from 0 to HIGHEST.  In
    the foreground the median of them is shared by more than ALIKE of its neighbours (in
    the plane of the slices): of grey values, with their noise and blurred edges, few
    have a neighbour of the same value.  That is not required if it is `stated` that
    these are labels.
    """
    low, high = values.min(), values.max()
    if low < high and _are_all(values, lambda some: (some == low) | (some == high)):
        whole = float(high).is_integer()
        return {int(high): int((values == high).sum())} if whole else {}
    labels = _as_labels(values)
    counts = _counts(labels)
    if not 0 < len(counts) <= MOST_LABELS:
        return {}
    alike, pairs = np.zeros((2, HIGHEST + 1), np.int64)
    for plane in labels[::4]:
        for one, other in ((plane[1:], plane[:-1]), (plane[:, 1:], plane[:, :-1])):
            inside = (one > 0) & (other > 0)
            pairs += np.bincount(one[inside], minlength=HIGHEST + 1)
            alike += np.bincount(one[inside & (one == other)], minlength=HIGHEST + 1)
    share = alike[pairs > 0] / pairs[pairs > 0]
    return counts if stated or (share.size and np.median(share) > ALIKE) else {}


def _as_labels(values: np.ndarray) -> np.ndarray:
    """The values as uint16 if all are whole, 0 to HIGHEST; else no slices."""
    if not (values.min() > -ROUNDED and values.max() < HIGHEST + ROUNDED):
        return np.empty((0, *values.shape[1:]), np.uint16)
    if values.dtype.kind != "f":
        return values.astype(np.uint16, copy=False)
    if not _are_all(values, lambda some: np.abs(some - np.rint(some)) < ROUNDED):
        return np.empty((0, *values.shape[1:]), np.uint16)
    return np.rint(values).astype(np.uint16)


def _counts(labels: np.ndarray) -> dict[int, int]:
    """Value → number of voxels, without 0."""
    counts = np.zeros(HIGHEST + 1, np.int64)
    for plane in labels:
        counts += np.bincount(plane.ravel(), minlength=HIGHEST + 1)
    return {int(v): int(counts[v]) for v in np.flatnonzero(counts) if v}


def _are_all(values: np.ndarray, condition: Callable[[np.ndarray], np.ndarray]) -> bool:
    """Whether a condition holds everywhere; a sparse sample already excludes most."""
    return all(condition(some).all() for some in (values[::8, ::8, ::8], values))


def names_segments(header: sitk.ImageFileReader) -> bool:
    """Whether a file's metadata have names of segments."""
    return any(NAMED.match(key) for key in header.GetMetaDataKeys())


def _named_labels(image: sitk.Image, values: np.ndarray) -> dict[Segment, int]:
    """The labels in an image that names segments, with their numbers of voxels.

    Without a layer or value in the header (Slicer before 4.11), every segment has a
    layer of its own.
    """
    names, layers = {}, values.shape[-1]
    for key in image.GetMetaDataKeys():
        if not (match := NAMED.match(key)):
            continue
        about = {}
        for field, default in (("Layer", match[1]), ("LabelValue", "1")):
            of_segment = f"Segment{match[1]}_{field}"
            known = image.HasMetaDataKey(of_segment)
            text = image.GetMetaData(of_segment) if known else default
            about[field] = int(text) if text.isdecimal() else -1
        names[about["Layer"], about["LabelValue"]] = image.GetMetaData(key)
    if not names:
        return {}
    return {
        Segment(names.get((layer, value), ""), layer, value): count
        for layer in range(layers)
        for value, count in _counts(_as_labels(values[..., layer])).items()
    }


def _asked(
    path: Path, image: sitk.Image, sizes: dict[Segment, int], label: str
) -> list[Segment]:
    """The labels that the user names."""
    chosen = []
    own = any(segment.name.lower() == label.lower() for segment in sizes)
    for text in [label] if own else label.split(","):
        text = text.strip()
        named = [s for s in sizes if s.name.lower() == text.lower() and text]
        found = named or [s for s in sizes if str(s.value) == text]
        if len(found) != 1:
            problem = f"{len(found)} labels {text!r}" if found else f"no label {text!r}"
            raise _refused(path, image, sizes, problem)
        chosen += found
    return chosen


def _skull(path: Path, image: sitk.Image, sizes: dict[Segment, int]) -> list[Segment]:
    """The only label, or the only one whose name says skull, and a mandible."""
    if len(sizes) == 1:
        return list(sizes)
    skulls = [s for s in sizes if _words(s) & SKULL and _is_named(s, SKULL | MANDIBLE)]
    if len(skulls) != 1:
        raise _refused(path, image, sizes, "it is not clear which label is the skull")
    jaws = [s for s in sizes if _words(s) & MANDIBLE and _is_named(s, MANDIBLE)]
    return skulls + jaws


def _words(segment: Segment) -> set[str]:
    return set(re.findall(r"[^\W\d_]+", segment.name.lower()))


def _is_named(segment: Segment, words: set[str]) -> bool:
    """Whether its name has no other words, as in "hyoid bone" or "skull base"."""
    return _words(segment) <= words | NEUTRAL


def _refused(
    path: Path, image: sitk.Image, sizes: dict[Segment, int], problem: str
) -> SkfmError:
    """The error that lists the labels: bones first, then by size."""
    ml = float(np.prod(image.GetSpacing())) / 1000
    order = sorted(sizes, key=lambda s: (not _words(s) & SKULL, -sizes[s]))
    listed = [f"{s}: {sizes[s] * ml:.0f} ml" for s in order[:LISTED]]
    more = [f"{len(order) - LISTED} more"] if len(order) > LISTED else []
    found = f"{path}: {problem}; labels: {', '.join(listed + more)}"
    remedy = "--label NAME or VALUE (several: A,B)"
    return SkfmError(found, "one label named skull, or bone; or asked for", remedy)
