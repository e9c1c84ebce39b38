"""The measures that skulls are screened by, taken of many."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening import anatomy
from skfm_lib.evaluation.screening.asymmetry import asymmetry
from skfm_lib.evaluation.screening.downsampling import COARSE, blocks
from skfm_lib.evaluation.screening.jaw_holes import jaw_holes
from skfm_lib.evaluation.screening.tolerance_limits import Measure
from skfm_lib.evaluation.screening.vault import vault_map
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track

CROWNS = (5, 6)  # the scores whose scans hold the crowns of the teeth (§3.3)
MEASURES = (
    Measure("parts", "", "high", least=1),
    Measure("loose bone", "%", "high", least=0.1),
    Measure("tunnels", "", "both", least=1),
    Measure("cavities", "", "both", least=1),
    Measure("bone volume", "cm³", "both", least=1),
    Measure("length", "mm", "both", least=1),
    Measure("breadth", "mm", "both", least=1),
    Measure("height", "mm", "both", least=1),
    Measure("tooth relief", "", "low", least=0.001, scores=CROWNS),
    Measure("jaw holes", "cm²", "high", least=1, scores=CROWNS),
    Measure("asymmetry", "cm³", "high", least=1),
    Measure("vault holes", "cm²", "high", least=1),
    Measure("to nearest", "", "high", least=0.001),
    Measure("misfit", "", "high", least=0.01),
)
PLAIN = 11  # the first of them need one skull only


@dataclass(frozen=True)
class Findings:
    """What was found on n skulls, each by itself.

    plain  (n, 11), the first of MEASURES;  vaults  (n, 61, 61), maps of `vault`;
    cells  (n, m) shares of bone in cells of COARSE mm
    """

    plain: np.ndarray
    vaults: np.ndarray
    cells: np.ndarray


class Skulls(Protocol):
    """What is asked of a set of skulls, such as a `SkullSet`."""

    grid: Grid
    qualities: Sequence[int]

    def __len__(self) -> int: ...

    def occupancy(self, index: int) -> np.ndarray:
        """Bone of one skull, bool (D, H, W)."""


def examine(skulls: Skulls, label: str, cache: Path | None = None) -> Findings:
    """Measure skulls one after the other; findings are kept at `cache` (.npz).

    An empty volume, as an untrained network may draw, has zero of everything.
    SkfmError for a volume that does not fit its grid.
    """
    if cache is not None and cache.is_file():
        with np.load(cache) as kept:
            return Findings(**kept)
    items = track(range(len(skulls)), f"Measuring {label}")
    each = [_findings(skulls.occupancy(i), skulls.grid) for i in items]
    found = Findings(*(np.stack(column) for column in zip(*each)))
    if cache is not None:
        with replacing(cache) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **vars(found))
    return found


def _findings(bone: np.ndarray, grid: Grid) -> tuple[np.ndarray, ...]:
    cells = blocks(bone, grid, COARSE).ravel()
    if bone.shape == grid.shape and not bone.any():
        return np.zeros(PLAIN), vault_map(bone, grid), cells
    plain = [
        *anatomy.topology(bone, grid).values(),
        *anatomy.size(bone, grid).values(),
        anatomy.tooth_relief(bone, grid),
        jaw_holes(bone, grid),
        asymmetry(bone, grid),
    ]
    return np.array(plain, float), vault_map(bone, grid), cells
