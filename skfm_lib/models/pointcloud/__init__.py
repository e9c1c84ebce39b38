"""Point clouds (batch, n, 3) in millimetres: sampling, neighbours, distances, poses.

Exact, batched, on CPU and CUDA, and without an extension to compile.  Indices carry
no gradient; what is taken by them does.
"""

from skfm_lib.models.pointcloud.chamfer_loss import chamfer_loss
from skfm_lib.models.pointcloud.neighbours import ball_query, interpolate, nearest, take
from skfm_lib.models.pointcloud.rigid import apply_pose, random_poses, to_rotation
from skfm_lib.models.pointcloud.sampling import farthest_points
from skfm_lib.models.pointcloud.validation import check_clouds

__all__ = [
    "apply_pose",
    "ball_query",
    "chamfer_loss",
    "check_clouds",
    "farthest_points",
    "interpolate",
    "nearest",
    "random_poses",
    "take",
    "to_rotation",
]
