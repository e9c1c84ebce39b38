"""Operations on point clouds (batch, n, 3) in millimetres.

Exact, batched, on CPU and CUDA, and without an extension to compile.  Indices carry
no gradient; values taken by them do.
"""

from skfm_lib.models.pointcloud.neighbours import (
    ball_query,
    chamfer_loss,
    nearest,
    take,
)
from skfm_lib.models.pointcloud.rigid import apply_pose, random_poses, to_rotation
from skfm_lib.models.pointcloud.sampling import farthest_points
from skfm_lib.models.pointcloud.validation import check_clouds

__all__ = [
    "apply_pose",
    "ball_query",
    "chamfer_loss",
    "check_clouds",
    "farthest_points",
    "nearest",
    "random_poses",
    "take",
    "to_rotation",
]
