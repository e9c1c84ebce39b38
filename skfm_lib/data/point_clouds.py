"""Skulls as point clouds: surfaces sampled in millimetres, and kept on disk."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyvista as pv
import torch
import trimesh
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.voxels import surface
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.files import replacing
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import seed_of

KEPT = 16384  # points kept of a skull: twice the largest cloud that a network sees


@dataclass(frozen=True)
class CloudSet:
    """Skulls as clouds, with their names and quality scores (0: unlabelled).

    points  float16 (skulls, KEPT, 3), RAS mm, drawn uniformly from each surface and
            independently of each other; half precision moves them by 0.06 mm at most
    """

    names: list[str]
    qualities: list[int]
    points: Tensor

    def __len__(self) -> int:
        return len(self.names)

    def part(self, items: Sequence[int]) -> "CloudSet":
        """The set of some items, in their order."""
        names, qualities = (
            [values[i] for i in items] for values in (self.names, self.qualities)
        )
        return CloudSet(names, qualities, self.points[list(items)])

    def first(self, count: int) -> Tensor:
        """The first `count` points of every skull, float32 (skulls, count, 3)."""
        return self.points[:, :count].float()

    def last(self, count: int) -> Tensor:
        """The last `count` points of every skull: another sample of its surface."""
        return self.points[:, -count:].float()

    def draw(self, items: Sequence[int], count: int, rng: torch.Generator) -> Tensor:
        """`count` points of each item, in random order: float32 (items, count, 3)."""
        chosen = [torch.randperm(KEPT, generator=rng)[:count] for _ in items]
        return torch.stack([self.points[i, c] for i, c in zip(items, chosen)]).float()


def joined(sets: Sequence[CloudSet]) -> CloudSet:
    """Several sets as one, such as real and synthetic skulls."""
    return CloudSet(
        [name for one in sets for name in one.names],
        [quality for one in sets for quality in one.qualities],
        torch.cat([one.points for one in sets]),
    )


def load_clouds(source: SkullSet, folder: Path, smallest: float = 0.0) -> CloudSet:
    """The clouds of a set of skulls, sampled once: ``folder/NAME.safetensors``.

    smallest  mm; skulls of no bone, or of a smaller largest extent, are left out, as
              networks may draw some

    100 kB a skull.  Which points are drawn follows from the skull's name.  Raises
    SkfmError for a skull without a surface (unless `smallest` leaves it out) and for
    a file that cannot be read.
    """
    files = [Path(folder) / f"{skull.name}.safetensors" for skull in source.skulls]
    missing = [i for i, file in enumerate(files) if not file.is_file()]
    for i in track(missing, "Sampling surfaces") if missing else ():
        points = _sampled(source, i, smallest)
        with replacing(files[i]) as temporary:
            save_file({"points": torch.from_numpy(points).half()}, temporary)
    clouds = [_read(file) for file in files]
    kept = [i for i, cloud in enumerate(clouds) if len(cloud)]
    names = [source.skulls[i].name for i in kept]
    points = torch.cat([cloud.reshape(-1, KEPT, 3) for cloud in clouds])
    return CloudSet(names, [source.qualities[i] for i in kept], points)


def _sampled(source: SkullSet, item: int, smallest: float) -> np.ndarray:
    """Points (KEPT, 3) of one skull, or none of one that is to be left out."""
    bone, name = source.occupancy(item), source.skulls[item].name
    if smallest and not bone.any():
        return np.empty((0, 3))
    mesh = surface(bone, source.grid, 0.5)
    points = sample_surface(mesh, KEPT, seed_of("cloud", name))
    return points if np.ptp(points, axis=0).max() >= smallest else points[:0]


def sample_surface(mesh: pv.PolyData, count: int, seed: int) -> np.ndarray:
    """Points (count, 3) spread uniformly over a surface, in its unit, float64.

    Raises SkfmError for a mesh without area.
    """
    if mesh.n_points == 0 or not mesh.area > 0:
        raise SkfmError(
            f"a surface of {mesh.n_points} points without area",
            "the mesh of a skull",
            "look at the scan or mesh",
        )
    faces = mesh.triangulate().regular_faces
    shape = trimesh.Trimesh(np.asarray(mesh.points, float), faces, process=False)
    return np.asarray(trimesh.sample.sample_surface(shape, count, seed=seed)[0])


def distance_to_surface(points: np.ndarray, mesh: pv.PolyData) -> np.ndarray:
    """Distance (n,) of each point (n, 3) from the nearest place on a surface."""
    _, closest = mesh.find_closest_cell(points, return_closest_point=True)
    return np.linalg.norm(np.reshape(closest, (-1, 3)) - points, axis=1)


def _read(file: Path) -> Tensor:
    try:
        return load_file(file)["points"]
    except (OSError, SafetensorError, KeyError) as error:
        raise SkfmError(
            f"{file} cannot be read ({error})", "a cloud", "remove it: it is made again"
        ) from error
