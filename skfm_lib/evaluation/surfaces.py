"""How far a surface lies from another one, and by how much its normals turn."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyvista as pv

from skfm_lib.data.bone_fractions import is_bone, skull_surface
from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation.screening.measures import Reconstructed
from skfm_lib.models import VQVAE
from skfm_lib.utils.device import Device
from skfm_lib.utils.progress import track

SAMPLES = 4000  # points of each surface


class Deviation(NamedTuple):
    """Deviation of two surfaces, over points of both of them."""

    mean: float  #: distance to the other surface, mm
    most: float  #: 95th percentile of that distance, mm
    angle: float  #: between normals at a point and at the nearest one, degrees, mean


def surface_deviation(one: pv.PolyData, other: pv.PolyData, seed: int = 0) -> Deviation:
    """Distance and angle between two closed surfaces of triangles, in both directions.

    Points are the centres of SAMPLES triangles of each surface, drawn by their area;
    the nearest point of the other surface is exact, not one of its vertices.  Steps of
    voxels show in the angle: a plane of cubes at 45° has normals that are 45° off.
    """
    rng = np.random.default_rng(seed)
    sides = [_from(a, b, rng) for a, b in ((one, other), (other, one))]
    distances, angles = map(np.concatenate, zip(*sides))
    return Deviation(
        float(distances.mean()),
        float(np.percentile(distances, 95)),
        float(angles.mean()),
    )


def reconstruction_deviations(
    model: VQVAE, skulls: SkullSet, items: Sequence[int], device: Device
) -> dict[str, list[Deviation]]:
    """Surfaces of skulls against those of their reconstructions, and of their bits.

    The latter, of voxels that are bone or not, show what the steps of the grid are.
    """
    decoded = Reconstructed(skulls, model, device)
    found: dict[str, list[Deviation]] = {"VQ-VAE": [], "bone or not": []}
    for item in track(items, "Comparing surfaces"):
        volume = skulls.volume(item)
        true = skull_surface(volume, skulls.grid)
        for name, one in zip(found, (decoded.volume(item), is_bone(volume))):
            found[name].append(surface_deviation(true, skull_surface(one, skulls.grid)))
    return found


def surface_rows(
    found: Mapping[str, Sequence[Deviation]], spacing: float
) -> dict[str, dict[str, str]]:
    """For each kind of surface, its deviations of n skulls: mean, least and greatest.

    Distances are in mm and in voxels of `spacing` mm.
    """
    rows = {}
    for name, each in found.items():
        mean, most, angle = np.array(each).T
        rows[name] = {
            "distance, mm": _range(mean),
            "in voxels": _range(mean / spacing),
            "95 % below, in voxels": _range(most / spacing),
            "angle of normals, degrees": _range(angle),
        }
    return rows


def _range(values: np.ndarray) -> str:
    return f"{values.mean():.2g} ({values.min():.2g}–{values.max():.2g})"


def _from(
    one: pv.PolyData, other: pv.PolyData, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distances (n,) and angles (n,) from points of `one` to `other`."""
    areas = one.compute_cell_sizes(length=False, volume=False)["Area"]
    chosen = rng.choice(len(areas), SAMPLES, p=areas / areas.sum())
    points = one.cell_centers().points[chosen]
    found: Any = other.find_closest_cell(points, return_closest_point=True)
    triangles, nearest = found
    cosines = (one.face_normals[chosen] * other.face_normals[triangles]).sum(axis=1)
    distances = np.linalg.norm(points - nearest, axis=1)
    return distances, np.degrees(np.arccos(cosines.clip(-1, 1)))
