"""Alignment without a network, by a network, and by both: errors of rigid motions.

The registration is that of `skfm prepare` (`data.registration`).  It rests on a linear
shape model of phantom individuals with seeds of their own: it has seen no skull of a
study, neither for training nor for the test.  But phantoms of a study are individuals
of the population that the model describes; scans of patients are not.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from scipy.spatial.transform import Rotation

from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom.template import pose
from skfm_lib.data.phantom_set import seed_in
from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.data.registration.canonical_pose import POINTS as SURFACE
from skfm_lib.data.registration.canonical_pose import find_poses, refine_pose
from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.models import Aligner
from skfm_lib.study import Study
from skfm_lib.study.data_stage import counts, examples
from skfm_lib.tasks.alignment import (
    ALIGNMENT,
    align,
    evaluation_poses,
    rigid,
    to_matrices,
)
from skfm_lib.tasks.apply_to_scan import chosen_experiment, study_tool
from skfm_lib.tasks.experiments.skull_pool import SkullPool
from skfm_lib.tasks.icp_baseline import POINTS, icp, reference_skull
from skfm_lib.utils.device import Device, pick_device
from skfm_lib.utils.progress import track

UNALIGNED, ICP, REGISTRATION = "unaligned", "ICP", "registration"
ALIGNER = "aligner"
BOTH = f"{ALIGNER} + {REGISTRATION}"
# Of phantoms: the motion into the individual's own skull frame.  How a phantom is posed
# beside that frame is random and has no trace in its bone (`template.pose`).
FRAME = "own skull frame"
MOST = 6  # skulls of each score that are registered, which takes seconds for each


def baseline_errors(study: Study, pool: SkullPool) -> pd.DataFrame:
    """`pose_errors` of the study's aligner, for equally many test skulls of each score.

    They are the first MOST, or as many as there are of the rarest score.  Computed once
    for each aligner, and kept.

    Raises:
        SkfmError: where the chapter of alignment is not finished.
    """
    each = min(MOST, *counts(pool.held_out).values())
    of, settings = (
        chosen_experiment(study, ALIGNMENT),
        {"seed": study.seed, "each": each},
    )
    stage = study.experiment(ALIGNMENT.folder, "baselines", settings, (of.name,))
    if not stage.done:
        items = examples(pool.held_out, each)
        frames = motions_to_frame([pool.held_out.skulls[item] for item in items])
        model, device = study_tool(study, ALIGNMENT).model, pick_device()
        errors = pose_errors(model, pool.test, items, device, study.seed, frames)
        stage.finish(errors=errors.to_dict("list"))
    return pd.DataFrame(stage.results["errors"])


def pose_errors(
    model: Aligner,
    clouds: CloudSet,
    items: Sequence[int],
    device: Device,
    seed: int,
    frames: Sequence[np.ndarray | None] | None = None,
) -> pd.DataFrame:
    """Errors of rigid motions of test skulls to their true poses.

    The skulls are `items` of `clouds`, in the poses of `evaluation_poses`.  `frames`
    are the `motions_to_frame` of these skulls, if there are any.

    Returns:
        A row for each skull and ``method`` (`found_motions`): ``distance``, the mean
        distance of its points from their true positions, mm, and ``rotation``, the
        angle of the rotation that remains, degrees.
    """
    original, moved, *true = evaluation_poses(clouds, model.settings, seed)
    poses = to_matrices(*true).double().numpy()
    guesses = to_matrices(*rigid(moved, *align(model, moved, device))).double().numpy()

    def motions(item: int) -> dict[str, np.ndarray]:
        surface = apply(poses[item], clouds.points[item].double().numpy())
        return found_motions(surface, guesses[item])

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # k-d trees release the GIL
        fits = [pool.submit(motions, item) for item in items]
        every = [fit.result() for fit in track(fits, "Registering skulls")]
    rows = []
    for number, (item, found) in enumerate(zip(items, every)):
        if frames is not None and (frame := frames[number]) is not None:
            found[FRAME] = frame @ np.linalg.inv(poses[item])
        points = original[item].double().numpy()
        skull = {"name": clouds.names[item], "quality": clouds.qualities[item]}
        for method, motion in found.items():
            left = motion @ poses[item]
            rows.append({**skull, "method": method, **remaining(left, points)})
    return pd.DataFrame(rows)


def found_motions(surface: np.ndarray, guess: np.ndarray) -> dict[str, np.ndarray]:
    """Method → the motion (4×4) by which it aligns a skull.

    Of the methods with two names, the network's motion is one more start of the second
    one; the result with the smaller residual is kept: the distance of `icp`, the
    negative log posterior of the registration.

    Args:
        surface: at least `canonical_pose.POINTS` points (n, 3), mm, in random order.
        guess: the motion (4×4) of a network.
    """
    few, reference = surface[:POINTS], reference_skull()
    closest = icp(few, reference)
    closest_too = min(closest, icp(few, reference, [guess]), key=lambda fit: fit[1])
    points = surface[:SURFACE]
    best = find_poses(points)[0]
    best_too = min(best, refine_pose(points, guess), key=lambda fit: fit.energy)
    return {
        UNALIGNED: np.eye(4),
        ICP: closest[0],
        REGISTRATION: best.matrix,
        ALIGNER: guess,
        f"{ALIGNER} + {ICP}": closest_too[0],
        BOTH: best_too.matrix,
    }


def remaining(motion: np.ndarray, points: np.ndarray) -> dict[str, float]:
    """How far a motion (4×4) moves points (n, 3): mean distance, mm; angle, degrees."""
    shifts = apply(motion, points) - points
    angle = Rotation.from_matrix(motion[:3, :3]).magnitude()
    return {
        "distance": float(np.linalg.norm(shifts, axis=1).mean()),
        "rotation": float(np.rad2deg(angle)),
    }


def motions_to_frame(skulls: Sequence[Skull]) -> list[np.ndarray | None]:
    """Motions (4×4) of phantoms into their own skull frames; None for scans."""
    seeds = [seed_in(skull.source) for skull in skulls]
    return [None if seed is None else _to_frame(seed) for seed in seeds]


def _to_frame(seed: int) -> np.ndarray:
    rotation, shift = pose(seed)
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.T, -rotation.T @ shift
    return matrix
