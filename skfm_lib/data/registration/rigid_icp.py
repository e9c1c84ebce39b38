"""Rigid registration of point clouds."""

import numpy as np
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation


def rigid_fit(source: np.ndarray, target: np.ndarray) -> np.ndarray:
    """The 4×4 rigid motion that best takes source (n, 3) to target (n, 3), in pairs.

    Least squares by singular values (Kabsch 1976); never a reflection.
    """
    middle_s, middle_t = source.mean(axis=0), target.mean(axis=0)
    u, _, vt = np.linalg.svd((source - middle_s).T @ (target - middle_t))
    turn = np.diag([1.0, 1.0, np.linalg.det(u @ vt)])
    matrix = np.eye(4)
    matrix[:3, :3] = (u @ turn @ vt).T
    matrix[:3, 3] = middle_t - matrix[:3, :3] @ middle_s
    return matrix


def plane_fit(
    source: np.ndarray, target: np.ndarray, normals: np.ndarray
) -> np.ndarray:
    """The 4×4 rigid motion that best brings source (n, 3) into the target's planes.

    Least squares of the distances along the normals (n, 3), linear in the rotation
    (Chen and Medioni 1992): surfaces may slide along each other, so that iterations
    of it settle sooner than those of `rigid_fit`.
    """
    gaps = ((target - source) * normals).sum(axis=1)
    equations = np.hstack([np.cross(source, normals), normals])
    solution = np.linalg.lstsq(equations, gaps, rcond=None)[0]
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(solution[:3]).as_matrix()
    matrix[:3, 3] = solution[3:]
    return matrix


def apply(matrix: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Points (n, 3) moved by a 4×4 matrix."""
    return points @ matrix[:3, :3].T + matrix[:3, 3]


def rigid_icp(
    source_points: np.ndarray,
    target_points: np.ndarray,
    keep: float = 0.8,
    normals: np.ndarray | None = None,
    iterations: int = 200,
    tolerance: float = 1e-3,
) -> tuple[np.ndarray, float]:
    """Trimmed iterative closest points: rigid motion of source onto target, mm.

    source_points  (n, 3), in a pose to start from (overlapping, within ~30°)
    target_points  (m, 3)
    keep           share of the source with the nearest partners that counts in each
                   step (Chetverikov 2002): what the target lacks pulls at nothing
    normals        (m, 3) unit normals of the target: match planes, not points
    tolerance      stop when no source point moves farther than this, mm

    Returns the 4×4 matrix and the root mean square distance of the kept pairs, mm.
    """
    tree = cKDTree(target_points)
    count = max(3, round(keep * len(source_points)))
    matrix, moved = np.eye(4), source_points
    for _ in range(iterations):
        distance, partner = tree.query(moved)
        kept = np.argpartition(distance, count - 1)[:count]
        pairs = moved[kept], target_points[partner[kept]]
        if normals is None:
            step = rigid_fit(*pairs)
        else:
            step = plane_fit(*pairs, normals[partner[kept]])
        before, moved = moved, apply(step, moved)
        matrix = step @ matrix
        if np.abs(moved - before).max() < tolerance:
            break
    distance = np.sort(tree.query(moved)[0])[:count]
    return matrix, float(np.sqrt(np.mean(distance**2)))
