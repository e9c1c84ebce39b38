"""The phantoms and the real heads that are compared."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import SimpleITK as sitk

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.io.meshes import MESH_SUFFIXES
from skfm_lib.data.io.sample_scan import TEST
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom_set import seed_in
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.evaluation.population.measures import SHAPE, UNITS, measure, vault_walls
from skfm_lib.evaluation.real_scans import prepared_skulls, real_scans
from skfm_lib.evaluation.screening.vault import CENTRE, directions
from skfm_lib.prepare.export import read_like
from skfm_lib.prepare.pipeline import prepare
from skfm_lib.presets.grid_sizes import Shape, scaled_shape
from skfm_lib.study.data_stage import real_heads, stamp_of
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track

COMPLETE = 5  # the quality score of phantoms with cap, base and face
FINEST = scaled_shape(1 / 4)  # 2 mm; finer grids tell nothing more of these measures
FEWEST = len(UNITS) + 2  # phantoms of which the spread of all measures is known


def measuring_shape(shape: Shape) -> Shape:
    """The grid for measures: of half the spacing of `shape`, but FINEST at most.

    >>> measuring_shape((57, 44, 64))
    (114, 88, 128)
    """
    depth, height, width = (2 * n for n in shape)
    return min((depth, height, width), FINEST)


def phantom_seeds(skulls: SkullSet) -> list[int]:
    """The seeds of a set of phantoms; of another data set, as many from 0 on.

    Of another data set they are at least FEWEST, however small it is.
    """
    found = [seed_in(skull.source) for skull in skulls.skulls]
    seeds = [seed for seed in found if seed is not None]
    if len(seeds) == len(found):
        return seeds
    return list(range(max(len(found), FEWEST)))


@dataclass(frozen=True)
class Examined:
    """A skull's `measures` and the radii (61, 61) of its vault, mm; NaN where open."""

    measures: dict[str, float]
    radii: np.ndarray


def examine(volume: np.ndarray, grid: Grid) -> Examined:
    """Measure a skull of bits or bytes in the skull frame."""
    walls = vault_walls(volume, grid)
    radii = np.linalg.norm(walls.outer - CENTRE, axis=-1)
    return Examined(measure(volume, grid, walls), radii)


def examine_phantoms(seeds: Sequence[int], shape: Shape) -> list[Examined]:
    """Complete phantoms on ``skull_grid(shape)``."""
    grid = skull_grid(shape)
    return [
        examine(phantom_skull(seed, COMPLETE, shape), grid)
        for seed in track(seeds, "Measuring phantoms")
    ]


def all_measures(
    phantoms: Sequence[Examined], others: Sequence[Examined] = ()
) -> list[dict[str, float]]:
    """The measures of the phantoms, then of others, with the SHAPE of the vault.

    SHAPE is the root mean square distance from the mean vault of the phantoms, of each
    phantom from that of all but itself, along rays above the horizon of the vault's
    centre.
    """
    above = directions()[0][..., 2] > 0
    everyone, n = (*phantoms, *others), len(phantoms)
    maps = np.stack([one.radii[above] for one in everyone])
    gaps = maps - np.nanmean(maps[:n], axis=0)
    gaps[:n] *= n / (n - 1)
    away = np.sqrt(np.nanmean(gaps**2, axis=1)).tolist()
    return [one.measures | {SHAPE: far} for one, far in zip(everyone, away)]


@dataclass(frozen=True)
class RealHead:
    """A real head in the skull frame.

    Attributes:
        is_test: whether it is the study's test head.
        volume: bits or bytes on `grid`.
        scan: in RAS axes, HU, as acquired; None for a mesh or a mask.
    """

    label: str
    is_test: bool
    volume: np.ndarray
    grid: Grid
    scan: sitk.Image | None

    @cached_property
    def examined(self) -> Examined:
        """Its measures; see `examine`."""
        return examine(self.volume, self.grid)


def prepared_heads(given: str | None, folder: Path, shape: Shape) -> list[RealHead]:
    """The heads of `real_heads`, prepared within `folder`, the test head last.

    Each state of the heads' files has its own folder there; scores are not used.

    Without any that can be used, a line says why and the list is empty; another line
    names each scan that cannot be used, and why.  SkfmError if `given` names none.
    """
    try:
        path = real_heads(given)
        folder = folder / stamp_of(path)
        problems = prepare(path, folder, shape).problems
    except SkfmError as reason:
        if given:
            raise
        print(f"no real heads are compared: {reason}")
        return []
    for why in problems.values():
        print(f"a head is left out: {why}")
    skulls = prepared_skulls(folder)
    heads = []
    with Sandbox() as sandbox:
        for one in real_scans(path, skulls):
            is_test = one.head is not None and one.head.role == TEST
            scan = None
            if one.source.suffix not in MESH_SUFFIXES:
                scan = read_like(one.source, sandbox)
                scan = scan if np.ptp(sitk.GetArrayViewFromImage(scan)) > 1 else None
            found = one.label, is_test, skulls.volume(one.item), skulls.grid, scan
            heads.append(RealHead(*found))
    return sorted(heads, key=lambda head: head.is_test)
