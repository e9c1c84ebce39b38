"""The field of view of a skull: the heights at which its scan begins and ends.

Heights are z in the skull frame, mm.  They are measured from the bone, since only
phantoms come with the field of view of their scan.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.io.volumes import read_volume
from skfm_lib.data.manifest import Skull
from skfm_lib.data.voxels import Grid
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import read_json, write_json
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import generator

LEAST_BONE = 1.0  # cm² of bone in a slice; less may be a speck
ROUNDING = 5.0  # mm, of the heights that are kept with a network's weights
# Rounded ends of this height or more are whole vaults, of adults.  Of the 999 phantoms
# of preset quick, cut vaults end at 95.8 mm or below, whole ones at 99.8 mm or above.
VERTEX = 100.0
VAULTS = ("whole", "cut")


class FieldOfView(NamedTuple):
    """Where a scan begins and ends: z in the skull frame, mm."""

    begin: float
    end: float

    def __str__(self) -> str:
        return f"{self.begin:.0f} to {self.end:.0f} mm"


Asked = FieldOfView | tuple[float, float] | str  # a str is one of VAULTS


def field_of_view(
    volume: np.ndarray, grid: Grid, name: str = "the volume"
) -> FieldOfView:
    """The outer faces of the lowest and the highest slice with LEAST_BONE.

    Args:
        volume: (D, H, W), bits, bytes or v.
        grid: of the volume.
        name: of the skull, for the error.

    Raises:
        SkfmError: where no slice has as much bone.

    >>> from skfm_lib.data.voxels import skull_grid
    >>> field_of_view(np.ones((57, 44, 64), bool), skull_grid((57, 44, 64)))
    FieldOfView(begin=-124.56, end=136.56)
    """
    area = is_bone(volume).sum(axis=(0, 1)) * grid.spacing**2 / 100
    slices = np.flatnonzero(area >= LEAST_BONE)
    if not len(slices):
        found = f"{name} has no slice with {LEAST_BONE:g} cm² of bone"
        raise SkfmError(found, "a skull", "remove it from the data set")
    first, last = slices[0] - 0.5, slices[-1] + 0.5
    z = (float(grid.origin[2] + grid.spacing * index) for index in (first, last))
    return FieldOfView(*(round(height, 3) for height in z))


def measured_fields(
    folder: Path, skulls: Sequence[Skull], kept: Path
) -> list[FieldOfView]:
    """The fields of view of some skulls of the data set in `folder`.

    They are measured once; the JSON file `kept` holds them by the names of the skulls.
    """
    known = read_json(kept) if kept.is_file() else {}
    missing = [skull for skull in skulls if skull.name not in known]
    for skull in track(missing, "Measuring fields of view") if missing else ():
        found = field_of_view(*read_volume(folder / skull.file), skull.name)
        known[skull.name] = found._asdict()
    if missing:
        write_json(kept, known)
    return [FieldOfView(**known[skull.name]) for skull in skulls]


@dataclass(frozen=True)
class FieldsOfView:
    """How often each field of view occurs in a training set, by quality score.

    Heights are rounded to ROUNDING, so that a network's weights, which hold them, do
    not hold those of the training skulls.  A rounded field of view may still be that
    of a single skull.
    """

    counts: Mapping[int, Mapping[FieldOfView, int]]

    @staticmethod
    def of(
        fields: Sequence[Sequence[float]], qualities: Sequence[int]
    ) -> "FieldsOfView":
        """Of skulls with these fields of view (begin, end) and quality scores."""
        counts: dict[int, Counter[FieldOfView]] = {}
        for quality, field in zip(qualities, fields, strict=True):
            rounded = FieldOfView(*(ROUNDING * round(z / ROUNDING) for z in field))
            counts.setdefault(quality, Counter())[rounded] += 1
        return FieldsOfView(counts)

    def as_dict(self) -> dict[str, list[list[float]]]:
        """Plain values: quality score → rows of begin, end, number of skulls."""
        return {
            str(quality): [[*field, count] for field, count in sorted(own.items())]
            for quality, own in sorted(self.counts.items())
        }

    @staticmethod
    def from_dict(record: dict[str, Any]) -> "FieldsOfView":
        """The inverse of `as_dict`."""
        return FieldsOfView(
            {
                int(quality): {FieldOfView(*z): int(count) for *z, count in rows}
                for quality, rows in record.items()
            }
        )

    def draw(self, quality: int, seed: int, asked: Asked | None = None) -> FieldOfView:
        """A field of view for the skull of a `seed`, which determines it.

        By default one of the training skulls of that quality score, drawn by how often
        it occurs and moved within its rounding.  `asked` may restrict it to skulls
        whose vault is "whole" or "cut" (it ends below VERTEX), or is the field of view.

        Raises:
            SkfmError: where no training skull of the score has such a vault, and for a
                field of view that does not begin below its end, or is beyond the range
                of the training skulls of the score.
        """
        if isinstance(asked, tuple):
            return self._checked(quality, FieldOfView(*asked))
        known = self._of(quality, asked)
        rng = generator("field of view", seed)
        counts = torch.tensor(list(known.values()), dtype=torch.float64)
        chosen = list(known)[int(torch.multinomial(counts, 1, generator=rng))]
        moved = ROUNDING * (torch.rand(2, generator=rng) - 0.5)
        return FieldOfView(*(torch.tensor(chosen) + moved).tolist())

    def _of(self, quality: int, vault: str | None) -> dict[FieldOfView, int]:
        """How often each field of view of a score occurs, of one kind of vault."""
        if vault not in (None, *VAULTS):
            raise SkfmError(f"vault {vault!r}", " or ".join(VAULTS))
        known = sorted(self.counts.get(quality, {}).items())
        whole = vault == "whole"
        found = {f: n for f, n in known if not vault or (f.end >= VERTEX) == whole}
        if not found:
            kind = f"a {vault} vault" if vault else "a field of view"
            raise SkfmError(
                f"{kind} for QS {quality}",
                "one that a training skull of this score has",
                "ask for another score" + (" or another vault" if vault else ""),
            )
        return found

    def _checked(self, quality: int, asked: FieldOfView) -> FieldOfView:
        if not asked.begin < asked.end:
            found = f"field of view from {asked.begin:g} to {asked.end:g} mm"
            raise SkfmError(found, "one that begins below its end")
        near, ranges = ROUNDING / 2, []
        for heights in zip(*self._of(quality, None)):
            ranges.append((min(heights) - near, max(heights) + near))
        if not all(low <= z <= high for z, (low, high) in zip(asked, ranges)):
            begin, end = (f"from {low:g} to {high:g} mm" for low, high in ranges)
            expected = f"a begin {begin} and an end {end}, as of the training skulls"
            found = f"field of view {asked} for QS {quality}"
            raise SkfmError(found, expected, "ask for another one")
        return asked
