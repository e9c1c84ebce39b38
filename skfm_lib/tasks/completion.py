"""Skull completion (paper §4.3 and E.2): loss, fillings, and errors in the defect.

A cuboid is cut out of an aligned skull, and PointAttN returns the complete skull.
Only what it puts into the defect is evaluated.
"""

import numpy as np
import pandas as pd
import pyvista as pv
import torch
from torch import Tensor

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.point_clouds import KEPT, CloudSet, distance_to_surface
from skfm_lib.metrics import chamfer
from skfm_lib.models import PointAttN
from skfm_lib.models.pointcloud import chamfer_loss, farthest_points, take
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.presets import CompleterConfig
from skfm_lib.study import stage_names
from skfm_lib.tasks.defects import Cuboid, draw_defect
from skfm_lib.tasks.task import Task, predict
from skfm_lib.utils.device import Device
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import seed_of

MARGIN = 5.0  # mm around a defect in which completed points count as its filling
MIRROR = np.array([-1.0, 1.0, 1.0])  # left and right: x = 0 is the midsagittal plane


def training_pair(
    points: Tensor, settings: CompleterConfig, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """(partial, complete) clouds: two samples of each skull, one with a new defect."""
    others = points.flip(1)
    defects = [
        draw_defect(cloud.numpy(), seed_of(seed, "defect", step, i))
        for i, cloud in enumerate(others)
    ]
    partial = [cut(c, d, settings.points) for c, d in zip(others, defects)]
    return torch.stack(partial), points[:, : settings.outputs[-1]]


def completer_loss(
    model: PointAttN, partial: Tensor, complete: Tensor, device: Device
) -> tuple[Tensor, dict[str, Tensor]]:
    """The sum of the Chamfer distances of the three outputs, and the last one, mm.

    The targets are the complete cloud, `thinned`.  The loss is in units of the
    network's scale.
    """
    targets = thinned(complete, model.settings)
    with device.autocast():
        outputs = model(partial)
    losses = [chamfer_loss(out, target) for out, target in zip(outputs, targets)]
    return torch.stack(losses).sum() / SCALE, {"chamfer": losses[-1]}


def thinned(clouds: Tensor, settings: CompleterConfig) -> list[Tensor]:
    """Clouds (b, n, 3) thinned to the three outputs' points, by farthest points."""
    coarse, middle, _ = settings.outputs
    second = take(clouds, farthest_points(clouds, middle))
    return [take(second, farthest_points(second, coarse)), second, clouds]


def outside(points: Tensor, cuboid: Cuboid) -> Tensor:
    """The points (n, 3) outside a cuboid."""
    return points[~torch.from_numpy(cuboid.contains(points.double().numpy()))]


def cut(points: Tensor, cuboid: Cuboid, count: int) -> Tensor:
    """The first `count` points outside a cuboid; repeated where there are fewer."""
    left = outside(points, cuboid)
    return left[torch.arange(count) % len(left)]


def mirrored(points: Tensor, cuboid: Cuboid) -> Tensor:
    """The points (n, 3) outside a cuboid, with left and right exchanged."""
    left = outside(points, cuboid)
    return left * left.new_tensor(MIRROR)


def complete(model: PointAttN, partial: Tensor, device: Device) -> Tensor:
    """The complete clouds (b, n, 3) of a trained completer, on the CPU."""
    return predict(model, partial, model.settings.batch, device)[-1]


def completion_errors(
    model: PointAttN, clouds: CloudSet, skulls: SkullSet, device: Device, seed: int
) -> pd.DataFrame:
    """Errors of fillings of the defects, mm: a row for each skull and way of filling.

    Skulls are given as clouds and as volumes; their defects are those of `defective`.

    Returns:
        Column ``way`` is ``completer``; ``mirror``, the skull's other side; or
        ``floor``, the bone itself sampled a second time, the least error to expect.
        ``cd``, ``accuracy`` and ``completeness`` compare the filling with the bone that
        was cut out (Tables 5, 6, 11); ``surface`` is the mean distance of the filling
        from the complete skull's surface, which sampling does not increase.
    """
    partial, original, defects = defective(clouds, model.settings, seed)
    second = clouds.last(original.shape[1]).flip(1)
    filled, rows = complete(model, partial, device), []
    for i in track(range(len(clouds)), "Filling defects"):
        bone = skulls.surface(i)
        mirror = mirrored(second[i], defects[i])
        ways = {"completer": filled[i], "mirror": mirror, "floor": second[i]}
        skull = {"name": clouds.names[i], "quality": clouds.qualities[i]}
        for way, cloud in ways.items():
            errors = filling_errors(cloud, original[i], defects[i], bone)
            rows.append({**skull, "way": way, **errors})
    return pd.DataFrame(rows)


def defective(
    clouds: CloudSet, settings: CompleterConfig, seed: int
) -> tuple[Tensor, Tensor, list[Cuboid]]:
    """Test skulls with a defect (b, n, 3), complete (b, m, 3), and the defects.

    The clouds are two samples of each surface.  A defect depends only on the seed, the
    skull's name and the number of points.
    """
    original, others = clouds.first(settings.outputs[-1]), clouds.last(KEPT).flip(1)
    defects = [
        draw_defect(cloud.double().numpy(), seed_of(seed, "test defect", name))
        for cloud, name in zip(original, clouds.names)
    ]
    partial = [cut(c, d, settings.points) for c, d in zip(others, defects)]
    return torch.stack(partial), original, defects


def filling_of(cloud: Tensor, cuboid: Cuboid) -> np.ndarray:
    """The points (n, 3) of a cloud within MARGIN of a defect, or the nearest one."""
    points = cloud.double().numpy()
    inside = np.flatnonzero(cuboid.contains(points, MARGIN))
    if not len(inside):
        inside = np.linalg.norm(points - cuboid.centre, axis=1).argmin(keepdims=True)
    return points[inside]


def filling_errors(
    cloud: Tensor, original: Tensor, cuboid: Cuboid, bone: pv.PolyData
) -> dict[str, float]:
    """The errors of a cloud's `filling_of` a defect, as in `completion_errors`."""
    filling, truth = filling_of(cloud, cuboid), original.double().numpy()
    distances = chamfer(filling, truth[cuboid.contains(truth)])
    values = {name: float(value) for name, value in distances._asdict().items()}
    return {**values, "surface": mean_surface_distance(filling, bone)}


def mean_surface_distance(points: np.ndarray, mesh: pv.PolyData) -> float:
    """Mean distance of points (n, 3) from a surface, mm."""
    return float(distance_to_surface(np.asarray(points, float), mesh).mean())


COMPLETION = Task(
    "completer",
    stage_names.COMPLETION,
    PointAttN,
    training_pair,
    completer_loss,
    completion_errors,
)
