"""How coarse grids may hold thin bone: candidates compared with the full size."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyvista as pv

from skfm_lib.data.bone_fractions import (
    FLOOR,
    LEVEL,
    as_fraction,
    block_fractions,
    skull_surface,
    surface_field,
)
from skfm_lib.data.io.sample_scan import DEVELOPMENT, head_of
from skfm_lib.data.io.sandbox import Sandbox
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.registration.up_axis import register_any_axes
from skfm_lib.data.voxels import skull_grid, surface, voxelise
from skfm_lib.evaluation.real_scans import surface_distance
from skfm_lib.evaluation.screening.vault import vault_holes
from skfm_lib.prepare.bone_segmentation import THRESHOLD
from skfm_lib.prepare.discovery import find_sources
from skfm_lib.prepare.extraction import read_surface
from skfm_lib.presets.grid_sizes import Shape
from skfm_lib.utils.files import read_json, write_json

QUALITY = 5  # of the phantoms: a scan of the whole vault and face
HOLES, VOLUME, DISTANCE = "more vault holes, cm²", "volume, %", "distance, mm"
CHOSEN, MADE = "fraction with a floor (chosen)", "as phantoms are made"
Rows = dict[str, dict[str, float]]  # candidate → column → value


class FullSize(NamedTuple):
    """A skull at full size: bits (D, H, W), what coarse grids are compared with."""

    name: str
    bone: np.ndarray
    mesh: pv.PolyData
    phantom: int | None = None  # seed


def phantoms(seeds: range) -> Iterator[FullSize]:
    """Complete phantoms at full size, 30 s each."""
    for seed in seeds:
        bone = phantom_skull(seed, QUALITY)
        mesh = skull_surface(bone, skull_grid())
        yield FullSize(f"phantom {seed}", bone, mesh, seed)


def development_heads(folder: Path) -> Iterator[FullSize]:
    """The public heads for development among the scans of a folder; no other scan."""
    with Sandbox() as sandbox:
        for source in find_sources(folder, folder / "skulls", sandbox).sources:
            head = head_of([file.path for file in source.items])
            if head and head.role == DEVELOPMENT:
                mesh, _, _ = sandbox(read_surface, source, THRESHOLD)
                mesh = register_any_axes(mesh).mesh
                yield FullSize(head.name, voxelise(mesh, skull_grid()), mesh)


def candidates(fine: np.ndarray, factor: int) -> dict[str, tuple[np.ndarray, float]]:
    """Ways to hold blocks of ``factor³`` bits: name → fractions of bone, level."""
    share, kept = (block_fractions(fine, factor, floor) for floor in (0.0, FLOOR))
    bits = (share >= 0.4).astype(np.float32)
    centre = fine[(slice(factor // 2, None, factor),) * 3].astype(np.float32)
    levels = {f"fraction, level {level}": (share, level) for level in (0.25, 0.5)}
    return {
        "bit at the centre": (centre, 0.5),
        "bit, share of at least 0.4": (bits, 0.5),
        **levels,
        "fraction with a floor, level 0.4": (kept, 0.4),
        CHOSEN: (kept, LEVEL),
    }


def compare(skull: FullSize, shape: Shape) -> Rows:
    """The candidates on the grid of a shape that divides the full one.

    HOLES is the area of the vault's holes, less that at full size; VOLUME the bone's
    (the sum of the fractions), as a difference from the full size's; DISTANCE the mean
    one of the surfaces, both ways.
    """
    fine, grid = skull_grid(), skull_grid(shape)
    ways = candidates(skull.bone, round(grid.spacing / fine.spacing))
    if skull.phantom is not None:
        made = as_fraction(phantom_skull(skull.phantom, QUALITY, shape))
        ways[MADE] = (made, LEVEL)
    holes = vault_holes(surface_field(skull.bone, fine), fine)
    full = float(np.count_nonzero(skull.bone)) * fine.spacing**3
    rows = {}
    for name, (fractions, level) in ways.items():
        field = fractions - np.float32(level)
        volume = float(fractions.sum(dtype=float)) * grid.spacing**3
        rows[name] = {
            HOLES: vault_holes(field, grid) - holes,
            VOLUME: 100 * (volume / full - 1),
            DISTANCE: surface_distance(surface(field, grid, 0.0), skull.mesh),
        }
    return rows


def comparison(
    cache: Path, skulls: Callable[[], Iterator[FullSize]], shapes: dict[str, Shape]
) -> dict[str, dict[str, Rows]]:
    """Skull → name of the shape → `compare`, computed once and kept in a JSON file."""
    if cache.is_file():
        return read_json(cache)
    found = {
        skull.name: {name: compare(skull, shape) for name, shape in shapes.items()}
        for skull in skulls()
    }
    write_json(cache, found)
    return found
