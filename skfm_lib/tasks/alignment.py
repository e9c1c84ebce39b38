"""Skull alignment (paper §4.3 and E.1): loss, errors, and one skull aligned.

Skulls that share the canonical pose are moved by random rigid motions; the network
is to bring every point back to where it was.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyvista as pv
import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.data.voxels import sample_surface
from skfm_lib.models import Aligner
from skfm_lib.models.pointcloud import apply_pose, random_poses, to_rotation
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.presets import AlignerConfig
from skfm_lib.study import stage_names
from skfm_lib.tasks.task import Task, predict
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.seeding import seed_of

BATCH = 16  # skulls aligned at a time in evaluation
TRIES = 8  # random poses in which `align_skull` shows a skull to the network
TILT, SHIFT = 15.0, 15.0  # degrees and mm of these poses: about a third of its range


def mean_distance(points: Tensor, targets: Tensor) -> Tensor:
    """Mean distance (…) of corresponding points (…, n, 3).

    >>> mean_distance(torch.zeros(2, 5, 3), torch.tensor([3.0, 0.0, 4.0]))
    tensor([5., 5.])
    """
    return (points - targets).norm(dim=-1).mean(-1)


def training_pair(
    points: Tensor, settings: AlignerConfig, seed: int, step: int
) -> tuple[Tensor, Tensor]:
    """(moved, original) clouds, each moved by a random pose of its own.

    Raises:
        SkfmError: for batches of one, which batch norm forbids.
    """
    if settings.batch < 2:
        found = f"batch {settings.batch} of the aligner"
        raise SkfmError(found, "at least 2, for batch norm", "set batch")
    original = points[:, : settings.points]
    return moved_clouds(original, settings, seed_of(seed, "poses", step))[0], original


def aligner_loss(
    model: Aligner, moved: Tensor, original: Tensor, device: Device
) -> tuple[Tensor, dict[str, Tensor]]:
    """L1 distance of aligned and original clouds, and the points' mean distance, mm.

    The loss is in units of the network's scale.
    """
    with device.autocast():
        aligned, _, _ = model(moved)
    distance = mean_distance(aligned.detach().flatten(0, 1), original.flatten(0, 1))
    return F.l1_loss(aligned, original) / SCALE, {"distance": distance}


def moved_clouds(
    clouds: Tensor, settings: AlignerConfig, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Clouds (b, n, 3), each moved by a random pose, and the poses (R, t)."""
    poses = random_poses(len(clouds), settings.degrees, settings.millimetres, seed)
    rotation, translation = (part.to(clouds.device) for part in poses)
    return apply_pose(clouds, rotation, translation), rotation, translation


def align(model: Aligner, points: Tensor, device: Device) -> tuple[Tensor, Tensor]:
    """The motions (R, t) of an aligner for clouds (b, n, 3); R may be any matrix."""
    _, rotation, translation = predict(model, points, BATCH, device)
    return rotation, translation


def rigid(
    points: Tensor, rotation: Tensor, translation: Tensor
) -> tuple[Tensor, Tensor]:
    """(R, t) with R projected to a rotation; the clouds' means move as before."""
    mean = points.mean(1, keepdim=True)
    target, turn = apply_pose(mean, rotation, translation), to_rotation(rotation)
    return turn, (target - apply_pose(mean, turn))[:, 0]


def to_matrices(rotation: Tensor, translation: Tensor) -> Tensor:
    """Motions R (b, 3, 3), t (b, 3) as homogeneous matrices (b, 4, 4)."""
    matrices = torch.eye(4, dtype=rotation.dtype).repeat(len(rotation), 1, 1)
    matrices[:, :3, :3], matrices[:, :3, 3] = rotation, translation
    return matrices


def evaluation_poses(
    clouds: CloudSet, settings: AlignerConfig, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Skulls (b, n, 3) in the canonical pose, moved for the test, and the poses (R, t).

    The poses depend only on the seed and on the number and order of the skulls.
    """
    original = clouds.first(settings.points)
    return original, *moved_clouds(original, settings, seed_of(seed, "test poses"))


def alignment_errors(
    model: Aligner, clouds: CloudSet, device: Device, seed: int
) -> pd.DataFrame:
    """Mean distance of a skull's points from their true positions, mm: a row a skull.

    Columns: ``unaligned``, in the `evaluation_poses`; ``raw``, after the network's
    matrices as they are (the paper's measure); ``projected``, after their projections
    to rotations, as a scan would be moved.
    """
    original, moved, _, _ = evaluation_poses(clouds, model.settings, seed)
    motion = align(model, moved, device)
    raw = apply_pose(moved, *motion)
    projected = apply_pose(moved, *rigid(moved, *motion))
    variants = {"unaligned": moved, "raw": raw, "projected": projected}
    errors = {k: mean_distance(v, original).double() for k, v in variants.items()}
    return pd.DataFrame({"name": clouds.names, "quality": clouds.qualities, **errors})


def relative_poses(
    model: Aligner, clouds: CloudSet, items: Sequence[int], device: Device, seed: int
) -> dict[str, np.ndarray]:
    """Test poses relative to the true ones, "before" and "after" a rigid alignment.

    Homogeneous matrices (items, 4, 4) that move a skull from its true pose.
    """
    _, moved, *pose = evaluation_poses(clouds, model.settings, seed)
    before = to_matrices(*pose)
    after = to_matrices(*rigid(moved, *align(model, moved, device))) @ before
    return {"before": before[items].numpy(), "after": after[items].numpy()}


class Alignment(NamedTuple):
    """The motion of a skull into the canonical pose.

    Attributes:
        matrix: rigid 4×4 from the skull's own frame, mm.
        spread: mean distance of the skull's points between one try and the mean of
            all tries, mm.  Errors common to all tries are not in it.
    """

    matrix: np.ndarray
    spread: float


def align_skull(model: Aligner, mesh: pv.PolyData, device: Device) -> Alignment:
    """Align a skull given in any frame (RAS mm): the mean motion of several tries.

    Each try takes other points of the surface, in another pose.  The skull may be as
    far from upright as in the network's training.  Raises SkfmError for a mesh
    without area.
    """
    count = model.settings.points
    points = sample_surface(mesh, TRIES * count, seed=0)
    centre = points.mean(axis=0)
    clouds = torch.from_numpy(points - centre).float().reshape(count, TRIES, 3)
    poses = random_poses(TRIES, TILT, SHIFT, seed=0)
    # A try's motion of the centred skull: its random pose, then the network's answer.
    seen = apply_pose(clouds.transpose(0, 1), *poses)
    motions = to_matrices(*align(model, seen, device)) @ to_matrices(*poses)
    every = clouds.reshape(1, -1, 3)
    mean = motions.mean(0, keepdim=True)
    best = rigid(every, mean[:, :3, :3], mean[:, :3, 3])
    copies = every.expand(TRIES, -1, -1)
    tries = rigid(copies, motions[:, :3, :3], motions[:, :3, 3])
    spread = mean_distance(apply_pose(copies, *tries), apply_pose(every, *best)).mean()
    matrix = to_matrices(*best)[0].double().numpy()
    matrix[:3, 3] -= matrix[:3, :3] @ centre  # from the skull's own frame
    return Alignment(matrix, float(spread))


ALIGNMENT = Task(
    "aligner",
    stage_names.ALIGNMENT,
    Aligner,
    training_pair,
    aligner_loss,
    lambda model, clouds, _, *test: alignment_errors(model, clouds, *test),
)
