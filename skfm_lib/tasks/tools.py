"""One skull aligned or completed by a trained network, with how sure that is."""

from dataclasses import dataclass

import numpy as np
import pyvista as pv
import torch
from scipy import ndimage
from scipy.spatial import cKDTree

from skfm_lib.data.clouds import distance_to_surface, sample_surface
from skfm_lib.data.voxels import Grid, surface, voxelise
from skfm_lib.device import Device
from skfm_lib.models import Aligner, PointAttN
from skfm_lib.points import apply_pose, random_poses
from skfm_lib.tasks.alignment import align, rigid
from skfm_lib.tasks.completion import MARGIN, complete
from skfm_lib.tasks.defects import SIDES

TRIES = 8  # poses in which the aligner sees a skull
TILT, SHIFT = 15.0, 15.0  # degrees and mm of these poses: about a third of its range
FINEST = 1.0  # mm; voxels of an implant, at least
NEAR = (
    np.sqrt(3) * SIDES[1] / 2
)  # mm; from the centre of the largest cuboid to a corner


@dataclass(frozen=True)
class Alignment:
    """The motion of a skull into its canonical pose.

    matrix  rigid 4×4, from the skull's own frame, mm
    spread  mean distance of the skull's points between one try and the mean of all,
            mm: the network's doubt, which leaves out what all tries get wrong
    """

    matrix: np.ndarray
    spread: float


@dataclass(frozen=True)
class Completion:
    """A whole skull for one that lacks a part.

    cloud    points (n, 3) of the whole skull, mm
    missing  which of them lie where the skull has no bone
    implant  closed surface of the missing part, or None where nothing is missing
    """

    cloud: np.ndarray
    missing: np.ndarray
    implant: pv.PolyData | None


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


def complete_skull(
    model: PointAttN,
    mesh: pv.PolyData,
    device: Device,
    near: np.ndarray | None = None,
) -> Completion:
    """What a skull in its canonical pose (RAS mm) lacks.

    near  a place (3,) in the defect, mm: what is farther from it than NEAR is not
          missing.  Without it, a network that adds bone where a scan ends, or that
          learned little, may be taken at its word in the wrong place.

    Points of the completed cloud count as missing where they are farther from the
    skull than MARGIN and than the cloud's points are from each other; of the parts
    that they form the largest is the implant.  Raises SkfmError for a mesh without
    area.
    """
    points = sample_surface(mesh, model.settings.points, seed=0)
    partial = torch.from_numpy(points).float()[None]
    cloud = complete(model, partial, device)[0].double().numpy()
    spacing = _spacing(cloud)
    missing = distance_to_surface(cloud, mesh) > max(MARGIN, spacing)
    if near is not None:
        missing &= np.linalg.norm(cloud - near, axis=1) <= NEAR
    filling = implant(cloud[missing], mesh, spacing) if missing.any() else None
    return Completion(cloud, missing, filling)


def implant(
    points: np.ndarray, mesh: pv.PolyData, spacing: float
) -> pv.PolyData | None:
    """A closed surface around points (n, 3), mm, clear of a skull's bone.

    spacing  mm, of the points: balls of this radius around them grow together

    The largest part that the balls form; None where the bone leaves none.
    """
    step = max(FINEST, spacing / 4)
    low, high = points.min(axis=0) - 2 * spacing, points.max(axis=0) + 2 * spacing
    width, depth, height = np.ceil((high - low) / step).astype(int) + 1
    grid = Grid((int(depth), int(width), int(height)), step, tuple(map(float, low)))
    centres = grid.to_mm(np.indices(grid.shape).reshape(3, -1).T)
    gaps, _ = cKDTree(points).query(centres, distance_upper_bound=2 * spacing)
    field = spacing - np.minimum(gaps, 2 * spacing).reshape(grid.shape)
    field[voxelise(mesh, grid)] = -spacing
    parts, found = ndimage.label(field > 0)
    if not found:
        return None
    largest = 1 + np.bincount(parts.ravel())[1:].argmax()
    field[(parts != largest) & (parts > 0)] = -spacing
    return surface(field, grid, 0.0)


def _spacing(cloud: np.ndarray) -> float:
    """Median distance of a cloud's points from their fourth neighbour, mm."""
    distances, _ = cKDTree(cloud).query(cloud, k=5)
    return float(np.median(distances[:, 4]))
