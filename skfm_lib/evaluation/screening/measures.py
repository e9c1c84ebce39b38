"""The fourteen measures of screening, taken of sets of skulls."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float

from skfm_lib.data.bone_fractions import network_values, stored
from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening import anatomy
from skfm_lib.evaluation.screening.ray_casting import jaw_holes
from skfm_lib.evaluation.screening.tolerance_limits import Measure
from skfm_lib.evaluation.screening.vault import vault_map
from skfm_lib.models import VQVAE
from skfm_lib.training.vqvae import reconstruct
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track

CROWNS = (5, 6)  # the scores whose scans hold the crowns of the teeth (§3.3)
BURR_HOLE = 1.5  # cm², of 14 mm; smaller openings are not called holes of a skull
MEASURES = (
    Measure("parts", "", "high", least=1, tolerated=2),  # the second: loose bone
    Measure("loose bone", "cm³", "high", least=0.1, tolerated=2 * anatomy.PIECE),
    Measure("tunnels", "", "both", least=1),
    Measure("cavities", "", "high", least=1),
    Measure("bone volume", "cm³", "both", least=1),
    Measure("length", "mm", "both", least=1),
    Measure("breadth", "mm", "both", least=1),
    Measure("height", "mm", "both", least=1),
    Measure("tooth relief", "", "low", least=0.001, scores=CROWNS),
    Measure("jaw holes", "cm²", "high", 1, scores=CROWNS, tolerated=BURR_HOLE),
    Measure("asymmetry", "cm³", "high", least=0.1, tolerated=2 * anatomy.PIECE),
    Measure("vault holes", "cm²", "high", least=1, tolerated=BURR_HOLE),
    Measure("to nearest", "", "high", least=0.001),
    Measure("misfit", "", "high", least=0.01),
)
NAMES = tuple(measure.name for measure in MEASURES)
SINGLE = 11  # the first of them depend on one skull only


@runtime_checkable
class Skulls(Protocol):
    """A set of skulls, such as a `SkullSet`."""

    @property
    def grid(self) -> Grid: ...

    @property
    def qualities(self) -> Sequence[int]: ...

    def __len__(self) -> int: ...

    def volume(self, index: int) -> np.ndarray:
        """One skull as stored, bits or bytes (D, H, W)."""


class Reconstructed:
    """Skulls after encoding, quantisation and decoding, computed on demand.

    Their failures are those of the decoder, which all generators of a study share.
    """

    def __init__(self, skulls: Skulls, model: VQVAE, device: Device) -> None:
        self.skulls, self.model, self.device = skulls, model, device
        self.grid, self.qualities = skulls.grid, skulls.qualities
        self._volumes: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.skulls)

    def volume(self, index: int) -> np.ndarray:
        """One skull as its grid holds it, bits or bytes (D, H, W)."""
        if index not in self._volumes:
            v = network_values(torch.from_numpy(self.skulls.volume(index)))
            v_hat, _ = reconstruct(self.model, v[None, None], self.device)
            self._volumes[index] = stored(v_hat[0, 0].numpy(), self.grid)
        return self._volumes[index]


@dataclass(frozen=True)
class Measurements:
    """Measurements of n skulls that do not depend on other skulls."""

    values: Float[np.ndarray, "n single"]  #: the first SINGLE of MEASURES
    vaults: Float[np.ndarray, "n a b"]  #: maps of `vault_map`
    blocks: Float[np.ndarray, "n blocks"]  #: fraction of bone in blocks of COARSE mm

    def __getitem__(self, chosen: np.ndarray) -> "Measurements":
        """Those of some skulls, by a mask or indices (n,)."""
        return Measurements(*(column[chosen] for column in vars(self).values()))


def measure_skulls(
    skulls: Skulls, label: str, cache: Path | None = None
) -> Measurements:
    """Measure skulls one by one, or read what was stored at `cache` (.npz).

    An empty volume, which an untrained network may generate, has all values 0.

    Raises:
        SkfmError: for a set without skulls, or a volume that does not fit its grid.
    """
    if cache is not None and cache.is_file():
        with np.load(cache) as stored:  # by position: names have changed
            return Measurements(*stored.values())
    if not len(skulls):
        raise SkfmError(f"no skulls of {label}", "at least one", "generate some")
    items = track(range(len(skulls)), f"Measuring {label}")
    measured = measure_volumes((skulls.volume(i) for i in items), skulls.grid)
    if cache is not None:
        with replacing(cache) as temporary, temporary.open("wb") as stream:
            np.savez_compressed(stream, **vars(measured))
    return measured


def measure_volumes(volumes: Iterable[np.ndarray], grid: Grid) -> Measurements:
    """Measure volumes (D, H, W) of bits or bytes, at least one."""
    each = [_measure(volume, grid) for volume in volumes]
    return Measurements(*(np.stack(column) for column in zip(*each)))


def _measure(volume: np.ndarray, grid: Grid) -> tuple[np.ndarray, ...]:
    anatomy.check_volume(volume, grid)
    blocks = anatomy.downsample(volume, grid, anatomy.COARSE).ravel()
    v = network_values(volume)
    if not v.max() > 0:
        return np.zeros(SINGLE), vault_map(v, grid), blocks
    values = [
        *anatomy.topology(volume, grid).values(),
        *anatomy.size(volume, grid).values(),
        anatomy.tooth_relief(volume, grid),
        jaw_holes(v, grid),
        anatomy.asymmetry(volume, grid),
    ]
    return np.array(values, float), vault_map(v, grid), blocks
