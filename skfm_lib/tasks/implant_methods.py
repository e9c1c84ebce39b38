"""Implants in voxels: by the completer, the mirrored skull and the shape model."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyvista as pv
from scipy import ndimage

from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.registration.rigid_icp import rigid_icp
from skfm_lib.data.registration.shape_completion import complete_surface
from skfm_lib.data.voxels import Grid, sample_surface, surface, voxelise
from skfm_lib.models import PointAttN
from skfm_lib.tasks.completion import MARGIN, MIRROR
from skfm_lib.tasks.defects import SIDES
from skfm_lib.tasks.implant import REACH, completed, find_missing
from skfm_lib.utils.device import Device

HALF = np.sqrt(3) * SIDES[1] / 2  # mm, of the box: to a corner of the largest cuboid
SOURCES, TARGETS = 2000, 20_000  # points by which a skull is fitted to its mirror image
COMPLETER, GIVEN = "completer", "completer, position given"
MIRRORED, LINEAR = "mirrored skull", "linear shape model"


@dataclass(frozen=True)
class Defective:
    """A skull with a defect, in the canonical pose.

    Attributes:
        bone: bool (D, H, W) on `grid`.
        near: a point (3,) in the defect, RAS mm.
    """

    bone: np.ndarray
    grid: Grid
    near: np.ndarray

    @cached_property
    def mesh(self) -> pv.PolyData:
        """The closed surface, RAS mm."""
        return surface(self.bone, self.grid, 0.5)

    @cached_property
    def box(self) -> tuple[slice, ...]:
        """The voxels within HALF of the point along each axis."""
        middle, reach = self.grid.to_index(self.near[None])[0], HALF / self.grid.spacing
        low = np.maximum(np.floor(middle - reach), 0).astype(int)
        high = np.ceil(middle + reach).astype(int) + 1
        return tuple(slice(a, b) for a, b in zip(low, high))

    @cached_property
    def distance(self) -> np.ndarray:
        """Distance from the bone in the box, mm."""
        empty = ~self.bone[self.box]
        return ndimage.distance_transform_edt(empty, sampling=self.grid.spacing)


def implants(
    model: PointAttN, skull: Defective, device: Device
) -> dict[str, np.ndarray]:
    """Method → its implant, bool (D, H, W), clear of the bone; empty where it has none.

    The completer is applied as by `skfm complete --aligned`, without and with
    ``--near``.  The others are told the position, too.
    """
    cloud = completed(model, skull.mesh, device)
    distance = distance_to_surface(cloud, skull.mesh)
    return {
        COMPLETER: completer_implant(cloud, distance, skull),
        GIVEN: completer_implant(cloud, distance, skull, skull.near),
        MIRRORED: missing_part(mirror_image(skull), skull),
        LINEAR: missing_part(shape_model(skull), skull),
    }


def completer_implant(
    cloud: np.ndarray,
    distance: np.ndarray,
    skull: Defective,
    near: np.ndarray | None = None,
) -> np.ndarray:
    """The implant for a completer's points of the complete skull (`find_missing`)."""
    made = find_missing(cloud, distance, skull.mesh, near).implant
    if made is None:
        return np.zeros_like(skull.bone)
    return voxelise(made, skull.grid) & ~skull.bone


def mirror_image(skull: Defective) -> np.ndarray:
    """The mirrored skull, fitted to it by trimmed ICP; bool (D, H, W), in its box."""
    points = sample_surface(skull.mesh, TARGETS, seed=0)
    motion, _ = rigid_icp(points[:SOURCES] * MIRROR, points)
    # A voxel of the box shows what the skull has where that voxel comes from.
    origin = np.diag([*MIRROR, 1.0]) @ np.linalg.inv(motion)
    affine, image = skull.grid.affine, np.zeros_like(skull.bone)
    shape, start = image[skull.box].shape, np.eye(4)
    start[:3, 3] = [s.start for s in skull.box]
    index = np.linalg.inv(affine) @ origin @ affine @ start
    bone = skull.bone.astype(np.float32)
    values = ndimage.affine_transform(bone, index, output_shape=shape, order=1)
    image[skull.box] = values > 0.5
    return image


def shape_model(skull: Defective) -> np.ndarray:
    """The complete skull of the linear shape model fitted to it, bool (D, H, W)."""
    return voxelise(complete_surface(skull.mesh), skull.grid)


def missing_part(complete: np.ndarray, skull: Defective) -> np.ndarray:
    """What a complete skull, bool (D, H, W), has at the defect and the skull lacks.

    As in `find_missing`, bone farther than MARGIN from the skull's is missing; of its
    connected parts, the one nearest to the given position counts, with what else is
    missing within REACH of it, to the edge of the bone.
    """
    implant, box = np.zeros_like(skull.bone), skull.box
    extra = complete[box] & ~skull.bone[box]
    parts, found = ndimage.label(extra & (skull.distance > MARGIN))
    if not found:
        return implant
    index = np.argwhere(parts)
    points = skull.grid.to_mm(index + [s.start for s in box])
    nearest = index[np.linalg.norm(points - skull.near, axis=1).argmin()]
    core = ndimage.find_objects(parts)[parts[tuple(nearest)] - 1]
    margin, spacing = int(REACH / skull.grid.spacing) + 1, skull.grid.spacing
    near = tuple(slice(max(s.start - margin, 0), s.stop + margin) for s in core)
    away = parts[near] != parts[tuple(nearest)]
    around = ndimage.distance_transform_edt(away, sampling=spacing) <= REACH
    implant[box][near] = extra[near] & around
    return implant
