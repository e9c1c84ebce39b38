"""Skulls into their canonical pose: the aligner trained, tried, and what it must beat.

Paper §4.3 and E.1: skulls that lie in one pose are moved at random, and the network
is to bring every point back to its place.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from torch.nn import functional as F

from skfm_lib import presets
from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.models import Aligner
from skfm_lib.models.pointcloud import apply_pose, random_poses, to_rotation
from skfm_lib.models.pointcloud.layers import SCALE
from skfm_lib.study import Stage
from skfm_lib.tasks.icp_baseline import Reference, icp
from skfm_lib.training.checkpoints import load_weights, save_weights
from skfm_lib.training.trainer import Trainer
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError
from skfm_lib.utils.progress import track
from skfm_lib.utils.seeding import batch_indices, generator, seed_of

WEIGHTS = "aligner.safetensors"
BATCH = 16  # skulls aligned at a time in evaluation
ICP_POINTS = 512  # of a skull; more fit no better


def train_aligner(
    stage: Stage, clouds: CloudSet, settings: presets.AlignerConfig, device: Device
) -> tuple[Aligner, dict[str, list[float]]]:
    """Train on clouds in the canonical pose, resuming; (network, history).

    Per step: a batch of clouds of settings.points points, each drawn anew from its
    surface and moved by a pose of its own, and the L1 distance between the cloud
    brought back and the cloud as it was, here in units of the network's scale.  The
    history has the mean distance of the points, mm, beside it.  Weights go to the
    stage's folder.  Raises SkfmError for batches of one, which batch norm forbids.
    """
    if settings.batch < 2:
        found = f"batch {settings.batch} of the aligner"
        raise SkfmError(found, "at least 2, for batch norm", "set batch")
    seed = seed_of(stage.settings["seed"], "aligner")
    torch.manual_seed(seed)
    model = Aligner(settings)
    trainer = Trainer(model, settings, device, stage.folder, stage.fingerprint)
    for step in trainer.steps("Aligner"):
        chosen = batch_indices(seed, step, len(clouds), settings.batch)
        rng = generator(seed, "points", step)
        still = device.to_device(clouds.sample(chosen, settings.points, rng))
        moved, _, _ = moved_clouds(still, settings, seed_of(seed, "poses", step))
        with device.autocast():
            aligned, _, _ = trainer.model(moved)
        distance = (aligned.detach() - still).norm(dim=-1).mean()
        trainer.descend(F.l1_loss(aligned, still) / SCALE, distance=distance)
    save_weights(trainer.model, stage.folder / WEIGHTS, settings.as_dict())
    return trainer.model.eval(), trainer.history


def load_aligner(
    stage: Stage, settings: presets.AlignerConfig, device: Device
) -> Aligner:
    """The aligner that a finished stage trained, ready to use."""
    model = Aligner(settings)
    load_weights(model, stage.folder / WEIGHTS)
    return device.to_device(model).eval()


def moved_clouds(
    clouds: Tensor, settings: presets.AlignerConfig, seed: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Clouds (b, n, 3), each moved by a random pose, and the poses (R, t)."""
    poses = random_poses(len(clouds), settings.degrees, settings.millimetres, seed)
    rotation, translation = (part.to(clouds.device) for part in poses)
    return apply_pose(clouds, rotation, translation), rotation, translation


@torch.no_grad()
def align(model: Aligner, points: Tensor, device: Device) -> tuple[Tensor, Tensor]:
    """The motions (R, t) that a trained aligner gives for clouds (b, n, 3), on the CPU.

    R may be any matrix if the network was trained on raw ones.
    """
    parts = []
    for part in points.split(BATCH):
        with device.autocast():
            _, rotation, translation = model(device.to_device(part))
        parts.append((rotation.cpu(), translation.cpu()))
    rotations, translations = zip(*parts)
    return torch.cat(rotations), torch.cat(translations)


def rigid(
    points: Tensor, rotation: Tensor, translation: Tensor
) -> tuple[Tensor, Tensor]:
    """(R, t) with R projected to a rotation and the clouds' means kept in place."""
    mean = points.mean(1, keepdim=True)
    place, turn = apply_pose(mean, rotation, translation), to_rotation(rotation)
    return turn, (place - apply_pose(mean, turn))[:, 0]


def alignment_errors(
    model: Aligner, clouds: CloudSet, device: Device, seed: int
) -> pd.DataFrame:
    """Mean distance of a skull's points from their true places, mm: a row a skull.

    unaligned  after the random pose, which depends on (seed, order of the skulls)
    raw        after the network's matrices as they are (the paper's measure)
    projected  after these are made rotations: what can be done to a scan
    """
    still, moved, _, _ = posed(clouds, model.settings, seed)
    rotation, translation = align(model, moved, device)
    raw = apply_pose(moved, rotation, translation)
    projected = apply_pose(moved, *rigid(moved, rotation, translation))
    errors = {"unaligned": moved, "raw": raw, "projected": projected}
    table = {name: _distances(cloud, still) for name, cloud in errors.items()}
    return pd.DataFrame({"name": clouds.names, "quality": clouds.qualities, **table})


def posed(
    clouds: CloudSet, settings: presets.AlignerConfig, seed: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Skulls (b, n, 3) as they lie and as they are moved for a test, and how (R, t).

    The poses depend on (seed, number and order of the skulls) only.
    """
    still = clouds.first(settings.points)
    return still, *moved_clouds(still, settings, seed_of(seed, "test poses"))


def shown_poses(
    model: Aligner, clouds: CloudSet, items: Sequence[int], device: Device, seed: int
) -> dict[str, list[tuple[Tensor, Tensor]]]:
    """Where test skulls are against their true places, as motions (R, t) of them.

    "before" as they are moved for the test, "after" once the network brought them
    back by a rigid motion.
    """
    _, moved, turn, shift = posed(clouds, model.settings, seed)
    back, step = rigid(moved, *align(model, moved, device))
    after = back @ turn, (back @ shift[..., None])[..., 0] + step
    poses = {"before": (turn, shift), "after": after}
    return {name: [(r[i], t[i]) for i in items] for name, (r, t) in poses.items()}


def icp_errors(
    clouds: CloudSet,
    reference: Reference,
    settings: presets.AlignerConfig,
    seed: int,
) -> np.ndarray:
    """The classical baseline: iterative closest points from the same poses, mm.

    reference  of `icp`: a whole skull in the canonical pose

    One mean distance for each skull, in the order of `alignment_errors`.
    """
    still, moved, _, _ = posed(clouds, settings, seed)
    places = moved.double().numpy()

    def fitted(item: int) -> np.ndarray:
        matrix, _ = icp(places[item, :ICP_POINTS], reference)
        return apply(matrix, places[item])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # searching holds no lock
        fits = [pool.submit(fitted, item) for item in range(len(places))]
        back = [fit.result() for fit in track(fits, "ICP")]
    return _distances(torch.from_numpy(np.stack(back)), still)


def _distances(clouds: Tensor, still: Tensor) -> np.ndarray:
    """Mean distance of corresponding points, mm, for each cloud."""
    return (clouds - still).norm(dim=-1).mean(1).double().numpy()
