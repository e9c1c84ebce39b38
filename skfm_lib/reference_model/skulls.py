"""Skulls in memory: `skfm_lib.generate`."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyvista as pv

from skfm_lib import presets
from skfm_lib.data.bone_fractions import skull_surface, stored
from skfm_lib.data.field_of_view import Asked
from skfm_lib.data.voxels import Grid
from skfm_lib.generation import SkullGenerator, sample_seed, usual_sampler
from skfm_lib.reference_model.loading import MODEL, load_generator, settings_of
from skfm_lib.reference_model.package import open_package
from skfm_lib.utils.errors import SkfmError


@dataclass(frozen=True)
class GeneratedSkull:
    """A generated skull in the skull frame (RAS mm).

    Attributes:
        volume: fraction of bone (D, H, W), uint8 (255 is 1); bits at preset paper.
        quality: quality score, 2 to 6.
        seed: of this skull.
        grid: spacing and origin of the volume, mm.
    """

    volume: np.ndarray = field(repr=False)
    quality: int
    seed: int
    grid: Grid

    def mesh(self) -> pv.PolyData:
        """The closed surface of the bone, mm; SkfmError for a volume without bone."""
        return skull_surface(self.volume, self.grid)


def generate(
    quality: int = 5,
    count: int = 1,
    seed: int = 0,
    field_of_view: Asked | None = None,
) -> list[GeneratedSkull]:
    """Skulls of the model that comes with the library, as `skfm generate` writes them.

    Args:
        quality: quality score, 2 to 6: how much of the skull the scan shows.
        count: number of skulls.
        seed: the i-th skull depends on (seed, i), whatever the count, to rounding.
        field_of_view: "whole" or "cut" vaults, or (begin, end) of the scan, mm.

    Raises:
        SkfmError: for another score or count, where the library comes without a
            trained model, and for files of it that are damaged.
    """
    if quality not in presets.QUALITY_SCORES:
        raise SkfmError(f"quality {quality}", "2, 3, 4, 5 or 6")
    if count < 1:
        raise SkfmError(f"count {count}", "at least 1")
    package = open_package()
    generator = _generator(package.folder, package.fingerprint)
    sampling = settings_of(package, presets.SamplingConfig, "sampling")
    sampler, skulls = usual_sampler(MODEL, sampling), []
    seeds = [sample_seed(seed, index) for index in range(count)]
    for start in range(0, count, sampling.batch):
        part = seeds[start : start + sampling.batch]
        given = [quality] * len(part), part, sampler, field_of_view
        volumes = generator.decode(generator.latents(*given))[:, 0].numpy()
        for v, own in zip(volumes, part):
            volume = stored(v, generator.grid)
            skulls.append(GeneratedSkull(volume, quality, own, generator.grid))
    return skulls


@lru_cache(maxsize=1)
def _generator(folder: Path, fingerprint: str) -> SkullGenerator:
    """The packed generator; a second call in one process does not load it again."""
    return load_generator(open_package())
