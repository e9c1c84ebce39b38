"""The classical way to align a skull, which the aligner must beat."""

from functools import cache

import numpy as np

from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.registration.rigid_icp import apply, rigid_icp
from skfm_lib.data.voxels import skull_grid, surface

TARGETS = 20_000  # points of the reference
STEPS = 100
KEEP = 0.8  # share of the points that must fit; no skull has all that another has
AVERAGE = 579  # of the first 1000 phantoms, the one of the most average measures
SHAPE = (114, 88, 128)  # 2.04 mm voxels: finer than skulls differ from each other

Reference = tuple[np.ndarray, np.ndarray]


def icp(points: np.ndarray, reference: Reference) -> tuple[np.ndarray, float]:
    """The closest of several fits of points (n, 3) to a reference; (4×4, residual mm).

    reference  points and outward unit normals (m, 3) of a surface

    Trimmed, from the points as they lie and with their mean moved to the reference's;
    each start by points, which never leaves it for a worse residual, and from there
    by planes, which gets further where it does not diverge.
    """
    target, normals = reference
    centred = np.eye(4)
    centred[:3, 3] = target.mean(axis=0) - points.mean(axis=0)
    fits = []
    for start in (np.eye(4), centred):
        for guide in (None, normals):
            moved = apply(start, points)
            step, gap = rigid_icp(moved, target, KEEP, guide, STEPS)
            start = step @ start
            fits.append((start, gap))
    return min(fits, key=lambda fit: fit[1])


@cache
def reference_skull() -> Reference:
    """Surface points and outward unit normals (m, 3) of a complete phantom, RAS mm.

    QS 5 ends above the neck, QS 6 below the vertex: together they are complete.
    """
    grid = skull_grid(SHAPE)
    parts = [phantom_skull(AVERAGE, quality, SHAPE) for quality in (5, 6)]
    mesh = surface(np.logical_or(*parts), grid, 0.5).compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    some = np.random.default_rng(0).permutation(mesh.n_points)[:TARGETS]
    points, normals = mesh.points[some], mesh.point_data["Normals"][some]
    return points.astype(float), normals.astype(float)
