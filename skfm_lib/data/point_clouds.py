"""Skulls as point clouds: surfaces sampled in millimetres, and stored on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvista as pv
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.voxels import sample_surface
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import seed_of

KEPT = 16384  # points stored per skull: twice the largest cloud that a network sees


@dataclass(frozen=True)
class CloudSet:
    """Point clouds of skulls, their names and quality scores (0: unlabelled).

    `points` is float16 (skulls, KEPT, 3), RAS mm, sampled uniformly and independently
    from each surface; half precision moves them by 0.06 mm at most.
    """

    names: list[str]
    qualities: list[int]
    points: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def subset(self, items: Sequence[int]) -> "CloudSet":
        """The set of some items, in their order."""
        names = [self.names[i] for i in items]
        qualities = [self.qualities[i] for i in items]
        return CloudSet(names, qualities, self.points[list(items)])

    def first(self, count: int) -> Tensor:
        """The first `count` points of every skull, float32 (skulls, count, 3)."""
        return self.points[:, :count].float()

    def last(self, count: int) -> Tensor:
        """The last `count` points of every skull: another sample of its surface."""
        return self.points[:, -count:].float()

    def sample(self, items: Sequence[int], count: int, rng: torch.Generator) -> Tensor:
        """`count` points of each item, in random order: float32 (items, count, 3)."""
        chosen = [torch.randperm(KEPT, generator=rng)[:count] for _ in items]
        return torch.stack([self.points[i, c] for i, c in zip(items, chosen)]).float()


def concatenate(sets: Sequence[CloudSet]) -> CloudSet:
    """Several sets as one, such as real and synthetic skulls."""
    return CloudSet(
        [name for one in sets for name in one.names],
        [quality for one in sets for quality in one.qualities],
        torch.cat([one.points for one in sets]),
    )


def load_clouds(source: SkullSet, folder: Path, smallest: float = 0.0) -> CloudSet:
    """The clouds of a set of skulls, sampled once: ``folder/NAME.safetensors``.

    A file has 100 kB.  The sample is seeded by the skull's name.

    Args:
        smallest: mm; if positive, skulls without bone, or whose largest extent is
            less, are omitted (networks may generate some).

    Raises:
        SkfmError: for any other skull without a surface, and an unreadable file.
    """
    files = [Path(folder) / f"{skull.name}.safetensors" for skull in source.skulls]
    missing = [i for i, file in enumerate(files) if not file.is_file()]
    for i in track(missing, "Sampling surfaces") if missing else ():
        points = torch.from_numpy(_sampled(source, i, smallest)).half()
        with replacing(files[i]) as temporary:
            save_file({"points": points}, temporary)
    clouds = [_read(file) for file in files]
    kept = [i for i, cloud in enumerate(clouds) if len(cloud)]
    return CloudSet(
        [source.skulls[i].name for i in kept],
        [source.qualities[i] for i in kept],
        torch.cat([cloud.reshape(-1, KEPT, 3) for cloud in clouds]),
    )


def distance_to_surface(points: np.ndarray, mesh: pv.PolyData) -> np.ndarray:
    """Distance (n,) of each point (n, 3) from the nearest point of a surface."""
    distances = pv.PolyData(points).compute_implicit_distance(mesh)
    return np.abs(distances["implicit_distance"])


def _sampled(source: SkullSet, item: int, smallest: float) -> np.ndarray:
    """Points (KEPT, 3) of one skull, or (0, 3) of one that is to be omitted."""
    if smallest and not source.occupancy(item).any():
        return np.empty((0, 3))
    seed = seed_of("cloud", source.skulls[item].name)
    points = sample_surface(source.surface(item), KEPT, seed)
    return points if np.ptp(points, axis=0).max() >= smallest else points[:0]


def _read(file: Path) -> Tensor:
    try:
        return load_file(file)["points"]
    except (OSError, SafetensorError, KeyError) as error:
        found = f"{file} cannot be read ({error})"
        remedy = "remove it: it is regenerated"
        raise SkfmError(found, "a point cloud", remedy) from error
