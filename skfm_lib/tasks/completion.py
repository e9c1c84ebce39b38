"""Missing bone filled in: the completer trained, tried, and what it must beat.

Paper §4.3: a cuboid is cut out of an aligned skull, and PointAttN gives the whole
skull back.  What counts is what it puts where the bone was.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyvista as pv
import torch
from torch import Tensor

from skfm_lib import presets
from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.point_clouds import KEPT, CloudSet, distance_to_surface
from skfm_lib.data.voxels import surface
from skfm_lib.metrics import chamfer
from skfm_lib.models import PointAttN
from skfm_lib.models.pointcloud import chamfer_loss, farthest_points, take
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.study import Stage
from skfm_lib.tasks.defects import Cuboid, draw_defect
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

WEIGHTS = "completer.safetensors"
MARGIN = 5.0  # mm around a defect in which completed points count as its filling
MIRROR = np.array([-1.0, 1.0, 1.0])  # left and right: x = 0 is the midsagittal plane


def train_completer(
    stage: Stage, clouds: CloudSet, settings: presets.CompleterConfig, device: Device
) -> tuple[PointAttN, dict[str, list[float]]]:
    """Train on whole clouds in the canonical pose, resuming; (network, history).

    Per step: a batch of clouds, a new defect in each, and the sum of the Chamfer
    distances of the three outputs to the whole cloud, thinned to their numbers of
    points, here in units of the network's scale.  The history has the last one in mm
    beside it.  Weights go to the stage's folder.
    """
    seed = seed_of(stage.settings["seed"], "completer")
    torch.manual_seed(seed)
    model = PointAttN(settings)
    trainer = Trainer(model, settings, device, stage.folder, stage.fingerprint)
    for step in trainer.steps("Completer"):
        chosen = batch_indices(seed, step, len(clouds), settings.batch)
        partial, whole = _training_pair(clouds, chosen, settings, seed, step)
        targets = thinned(device.to_device(whole), settings)
        with device.autocast():
            outputs = trainer.model(device.to_device(partial))
        losses = [chamfer_loss(o, t) for o, t in zip(outputs, targets)]
        trainer.descend(sum(losses) / SCALE, chamfer=losses[-1])
    save_weights(trainer.model, stage.folder / WEIGHTS, settings.as_dict())
    return trainer.model.eval(), trainer.history


def load_completer(
    stage: Stage, settings: presets.CompleterConfig, device: Device
) -> PointAttN:
    """The completer that a finished stage trained, ready to use."""
    model = PointAttN(settings)
    load_weights(model, stage.folder / WEIGHTS)
    return device.to_device(model).eval()


def thinned(whole: Tensor, settings: presets.CompleterConfig) -> list[Tensor]:
    """Whole clouds (b, n, 3) with as many points as the three outputs, far apart."""
    coarse, middle, _ = settings.outputs
    middle = take(whole, farthest_points(whole, middle))
    return [take(middle, farthest_points(middle, coarse)), middle, whole]


def cut(points: Tensor, cuboid: Cuboid, count: int) -> Tensor:
    """The first `count` points (count, 3) outside a cuboid; repeated if too few."""
    left = points[~torch.from_numpy(cuboid.holds(points.double().numpy()))]
    return left[torch.arange(count) % len(left)]


@torch.no_grad()
def complete(model: PointAttN, partial: Tensor, device: Device) -> Tensor:
    """The whole clouds (b, n, 3) that a trained completer gives, on the CPU."""
    parts = []
    for part in partial.split(model.settings.batch):
        with device.autocast():
            parts.append(model(device.to_device(part))[-1].cpu())
    return torch.cat(parts)


def completion_errors(
    model: PointAttN, clouds: CloudSet, skulls: SkullSet, device: Device, seed: int
) -> pd.DataFrame:
    """How well defects are filled, mm: a row for each skull and way of filling.

    clouds, skulls  the same skulls, as clouds and as volumes, in one order
    way             ``completer``; ``mirror``, the other side; and ``floor``, the bone
                    itself sampled a second time, which no way can be expected to beat
    cd, accuracy, completeness  between the filling and the bone that was cut out
                    (Tables 5, 6, 11; the defect's region only)
    surface         mean distance of the filling from the whole skull's surface, which
                    no sampling makes larger

    Every skull has one defect, which depends on (seed, its name, the points' number).
    """
    partial, whole, defects = defective(clouds, model.settings, seed)
    second, rows = clouds.last(whole.shape[1]).flip(1), []
    filled = complete(model, partial, device)
    for i in track(range(len(clouds)), "Filling defects"):
        cuboid, bone = defects[i], surface(skulls.occupancy(i), skulls.grid, 0.5)
        again = second[i]
        ways = {"completer": filled[i], "mirror": mirrored(again, cuboid)}
        about = {"name": clouds.names[i], "quality": clouds.qualities[i]}
        for way, cloud in {**ways, "floor": again}.items():
            errors = filling_errors(cloud, whole[i], cuboid, bone)
            rows.append({**about, "way": way, **errors})
    return pd.DataFrame(rows)


def defective(
    clouds: CloudSet, settings: presets.CompleterConfig, seed: int
) -> tuple[Tensor, Tensor, list[Cuboid]]:
    """Skulls with a defect for a test (b, n, 3), whole (b, m, 3), and the defects.

    Whole and defective clouds are two samples of each surface.  A defect depends on
    (seed, the skull's name, the number of points) only.
    """
    whole, others = clouds.first(settings.outputs[-1]), clouds.last(KEPT).flip(1)
    defects = [
        draw_defect(cloud.double().numpy(), seed_of(seed, "test defect", name))
        for cloud, name in zip(whole, clouds.names)
    ]
    partial = [cut(c, d, settings.points) for c, d in zip(others, defects)]
    return torch.stack(partial), whole, defects


def filling_of(cloud: Tensor, cuboid: Cuboid) -> np.ndarray:
    """The points (n, 3) of a completed cloud that count as the filling of a defect.

    Those within MARGIN around the cuboid or, where there are none, the one that is
    nearest to its centre.
    """
    points = cloud.double().numpy()
    inside = cuboid.holds(points, MARGIN)
    if not inside.any():
        inside = [np.linalg.norm(points - cuboid.centre, axis=1).argmin()]
    return points[inside]


def filling_errors(
    cloud: Tensor, whole: Tensor, cuboid: Cuboid, bone: pv.PolyData
) -> dict[str, float]:
    """What `completion_errors` says of one filling, `filling_of` a cloud."""
    filling, truth = filling_of(cloud, cuboid), whole.double().numpy()
    distances = chamfer(filling, truth[cuboid.holds(truth)])
    values = {name: float(value) for name, value in distances._asdict().items()}
    return {**values, "surface": float(distance_to_surface(filling, bone).mean())}


def mirrored(points: Tensor, cuboid: Cuboid) -> Tensor:
    """A skull's points (n, 3) outside a cuboid, with left and right exchanged."""
    left = points[torch.from_numpy(~cuboid.holds(points.double().numpy()))]
    return left * torch.from_numpy(MIRROR).to(left.dtype)


def _training_pair(
    clouds: CloudSet,
    chosen: Sequence[int],
    settings: presets.CompleterConfig,
    seed: int,
    step: int,
) -> tuple[Tensor, Tensor]:
    """(partial, whole) clouds of a step: two samples of each skull, one of them cut."""
    points = clouds.sample(chosen, KEPT, generator(seed, "points", step))
    whole, others = points[:, : settings.outputs[-1]], points.flip(1)
    defects = [
        draw_defect(cloud.numpy(), seed_of(seed, "defect", step, i))
        for i, cloud in enumerate(others)
    ]
    partial = [cut(c, d, settings.points) for c, d in zip(others, defects)]
    return torch.stack(partial), whole
