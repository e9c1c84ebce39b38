"""Rigid registration of point clouds."""

import numpy as np
import trimesh
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) transformed by a 4×4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def rigid_matrix(rotation: Rotation, translation: np.ndarray | float) -> np.ndarray:
    """The 4×4 matrix of a rotation followed by a translation (3,)."""
    matrix = np.eye(4)
    matrix[:3, :3], matrix[:3, 3] = rotation.as_matrix(), translation
    return matrix


def plane_fit(
    source: np.ndarray, target: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    """The 4×4 rigid motion that best moves source (n, 3) into the target's planes.

    Least squares of the distances along the normals (n, 3), linearised in the rotation
    (Chen and Medioni 1992).  Surfaces may slide along each other, so that ICP needs
    fewer iterations than with point pairs.
    """
    gaps = ((target - source) * normals).sum(axis=1)
    equations = np.hstack([np.cross(source, normals), normals])
    solution = np.linalg.lstsq(equations, gaps, rcond=None)[0]
    return rigid_matrix(Rotation.from_rotvec(solution[:3]), solution[3:])


def rigid_icp(
    source_points: np.ndarray,
    target_points: np.ndarray,
    keep: float = 0.8,
    normals: np.ndarray | None = None,
    iterations: int = 200,
    tolerance: float = 1e-3,
) -> tuple[np.ndarray, float]:
    """Trimmed iterative closest points: rigid motion of source to target, mm.

    Args:
        source_points: (n, 3), in an initial pose (overlapping, within about 30°).
        target_points: (m, 3).
        keep: Share of the source, with the nearest partners, that is used in each step
            (Chetverikov et al. 2002), so that parts missing in the target are ignored.
        normals: (m, 3) unit normals of the target, to fit planes instead of points.
        tolerance: mm; stop when no source point moves farther.

    Returns:
        The 4×4 matrix and the root mean square distance of the pairs used, mm.

    >>> target = np.random.default_rng(0).uniform(-50, 50, (300, 3))
    >>> matrix, distance = rigid_icp(target[:100] + (3, -2, 1), target)
    >>> matrix[:3, 3].round(3).tolist()
    [-3.0, 2.0, -1.0]
    """
    tree = cKDTree(target_points)
    count = max(3, round(keep * len(source_points)))
    matrix, moved = np.eye(4), source_points
    for _ in range(iterations):
        distance, partner = map(np.asarray, tree.query(moved))
        kept = np.argpartition(distance, count - 1)[:count]
        pairs = moved[kept], target_points[partner[kept]]
        if normals is None:
            step = trimesh.registration.procrustes(
                *pairs, reflection=False, scale=False, return_cost=False
            )
        else:
            step = plane_fit(*pairs, normals[partner[kept]])
        before, moved = moved, apply(step, moved)
        matrix = step @ matrix
        if np.abs(moved - before).max() < tolerance:
            break
    distance = np.sort(np.asarray(tree.query(moved)[0]))[:count]
    return matrix, float(np.sqrt(np.mean(distance**2)))
