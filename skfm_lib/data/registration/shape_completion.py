"""The complete skull that the linear shape model has for an incomplete one."""

import numpy as np
import pyvista as pv
from scipy.spatial import cKDTree

from skfm_lib.data.registration.canonical_pose import POINTS, refine_pose
from skfm_lib.data.registration.shape_model import (
    reference,
    template_mesh,
    template_surface,
)
from skfm_lib.data.voxels import sample_surface

NEAREST = 8  # points whose displacements are averaged; they lie 6 mm apart


def complete_surface(mesh: pv.PolyData) -> pv.PolyData:
    """The shape model fitted to a skull in the canonical pose, RAS mm.

    The model's shape is fitted to what the skull has (`shape_model.fit`; bone without
    a partner has little weight), and its complete surface is posed as the skull.

    Raises:
        SkfmError: for a mesh without area or in a plane.
    """
    found = refine_pose(sample_surface(mesh, POINTS, seed=0), np.eye(4))
    complete = warped_template(reference().deformed(found.shape))
    return complete.transform(np.linalg.inv(found.matrix), inplace=False)


def warped_template(targets: np.ndarray) -> pv.PolyData:
    """The template's surface, its `template_surface` moved to `targets` (m, 3), mm.

    Other vertices get an affine motion fitted to all points, and the mean of what
    remains at the nearest points, weighted by the inverse square of the distance.
    """
    mesh, (points, _) = template_mesh().copy(), template_surface()
    vertices = np.asarray(mesh.points, float)
    from_points, from_vertices = _homogeneous(points.T), _homogeneous(vertices)
    affine = np.linalg.lstsq(from_points, targets, rcond=None)[0]
    rest = targets - from_points @ affine
    distance, nearest = cKDTree(points.T).query(vertices, NEAREST)
    weights = np.asarray(1 / (distance**2 + 1e-6))
    weights /= weights.sum(axis=1, keepdims=True)
    moved = from_vertices @ affine + (weights[..., None] * rest[nearest]).sum(axis=1)
    mesh.points = moved.astype(np.float32)
    return mesh


def _homogeneous(points: np.ndarray) -> np.ndarray:
    return np.column_stack([points, np.ones(len(points))])
