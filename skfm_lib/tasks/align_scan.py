"""One skull brought into its canonical pose by a trained aligner, and how surely."""

from dataclasses import dataclass

import numpy as np
import pyvista as pv
import torch

from skfm_lib.data.voxels import sample_surface
from skfm_lib.models import Aligner
from skfm_lib.models.pointcloud import apply_pose, random_poses
from skfm_lib.tasks.alignment import align, rigid
from skfm_lib.utils.device import Device

TRIES = 8  # poses in which the aligner sees a skull
TILT, SHIFT = 15.0, 15.0  # degrees and mm of these poses: about a third of its range


@dataclass(frozen=True)
class Alignment:
    """The motion of a skull into its canonical pose.

    matrix  rigid 4×4, from the skull's own frame, mm
    spread  mean distance of the skull's points between one try and the mean of all,
            mm: the network's doubt, which leaves out what all tries get wrong
    """

    matrix: np.ndarray
    spread: float


def align_skull(model: Aligner, mesh: pv.PolyData, device: Device) -> Alignment:
    """Where a skull in any frame (RAS mm) belongs, as the mean of several tries.

    Each try sees other points of the surface in another pose.  The skull may be as
    far from upright as the network was trained for.  Raises SkfmError for a mesh
    without area.
    """
    count = model.settings.points
    points = sample_surface(mesh, TRIES * count, seed=0)
    middle = points.mean(axis=0)
    clouds = torch.from_numpy(points - middle).float().reshape(count, TRIES, 3)
    poses = random_poses(TRIES, TILT, SHIFT, seed=0)
    tries = apply_pose(clouds.transpose(0, 1), *poses)
    turns, shifts = align(model, tries, device)
    shifts = shifts + (turns @ poses[1][..., None])[..., 0]
    turns = turns @ poses[0]
    every = clouds.reshape(1, -1, 3)
    turn, shift = rigid(every, turns.mean(0)[None], shifts.mean(0)[None])
    own = rigid(every.expand(TRIES, -1, -1), turns, shifts)
    apart = apply_pose(every.expand(TRIES, -1, -1), *own) - apply_pose(
        every, turn, shift
    )
    matrix = np.eye(4)
    matrix[:3, :3] = turn[0].double().numpy()
    matrix[:3, 3] = shift[0].double().numpy() - matrix[:3, :3] @ middle
    return Alignment(matrix, float(apart.norm(dim=-1).mean()))
