"""The classical baseline of the aligner: iterative closest points (ICP)."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np
import torch

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.data.registration.rigid_icp import apply, rigid_icp
from skfm_lib.data.registration.shape_model import AVERAGE, FINE
from skfm_lib.data.voxels import oriented_vertices, skull_grid
from skfm_lib.presets import AlignerConfig
from skfm_lib.tasks.alignment import evaluation_poses, mean_distance
from skfm_lib.utils.progress import track

POINTS = 512  # of a skull; more do not improve the fit
TARGETS = 20_000  # points of the reference
STEPS = 100
KEEP = 0.8  # share of the points that must fit: two skulls differ in what they show

Reference = tuple[np.ndarray, np.ndarray]


def icp(
    points: np.ndarray,
    reference: Reference,
    starts: Sequence[np.ndarray] | None = None,
) -> tuple[np.ndarray, float]:
    """The best trimmed fit of points (n, 3) to the points and normals of a reference.

    Fits start from the motions `starts` (4×4); by default from the points as given and
    from their mean moved to the reference's.  Each first matches points to points,
    which never increases the residual, and then points to planes, which goes further
    but may diverge; all results are compared.

    Returns:
        The 4×4 motion, and the root mean square distance of the kept points, mm.
    """
    target, normals = reference
    if starts is None:
        centred = np.eye(4)
        centred[:3, 3] = target.mean(axis=0) - points.mean(axis=0)
        starts = np.eye(4), centred
    fits = []
    for matrix in starts:
        for planes in (None, normals):
            moved = apply(matrix, points)
            step, residual = rigid_icp(moved, target, KEEP, planes, STEPS)
            matrix = step @ matrix
            fits.append((matrix, residual))
    return min(fits, key=lambda fit: fit[1])


def icp_errors(
    clouds: CloudSet, settings: AlignerConfig, seed: int
) -> dict[str, float]:
    """Skull → mean distance of its points from their true positions after ICP, mm.

    The skulls of `alignment_errors`, in the same poses, fitted to `reference_skull`.
    """
    original, moved, _, _ = evaluation_poses(clouds, settings, seed)
    reference = reference_skull()

    def aligned(cloud: np.ndarray) -> np.ndarray:
        matrix, _ = icp(cloud[:POINTS], reference)
        return apply(matrix, cloud)

    with ThreadPoolExecutor(os.cpu_count()) as pool:  # k-d trees release the GIL
        fits = [pool.submit(aligned, cloud) for cloud in moved.double().numpy()]
        found = np.stack([fit.result() for fit in track(fits, "ICP")])
    errors = mean_distance(torch.from_numpy(found), original)
    return dict(zip(clouds.names, errors.tolist()))


@cache
def reference_skull() -> Reference:
    """Surface points and outward unit normals (m, 3) of the AVERAGE phantom, RAS mm.

    QS 5 ends above the neck, QS 6 below the vertex: their union is complete.
    """
    parts = [phantom_skull(AVERAGE, quality, FINE) for quality in (5, 6)]
    mesh = skull_surface(np.maximum(*parts), skull_grid(FINE))
    points, normals = oriented_vertices(mesh, TARGETS)
    return points.astype(float), normals
