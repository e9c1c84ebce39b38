"""Rigid motions of point clouds: random ones, their application, nearest rotations."""

from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from scipy.spatial.transform import Rotation
from torch import Tensor


def random_poses(
    count: int, degrees: float, millimetres: float, seed: int
) -> tuple[Float[Tensor, "{count} 3 3"], Float[Tensor, "{count} 3"]]:
    """Random rotations and translations, float32.

    Every Euler angle (x, y, z) is U(−degrees, degrees), as in DCP (Wang and Solomon
    2019), but rotations are uniform from 180 degrees; every component of a translation
    is U(−millimetres, millimetres).
    """
    rng = np.random.default_rng(seed)
    if degrees >= 180:
        rotations = Rotation.random(count, rng)
    else:
        angles = rng.uniform(-degrees, degrees, (count, 3))
        rotations = Rotation.from_euler("xyz", angles, degrees=True)
    shifts = torch.from_numpy(rng.uniform(-millimetres, millimetres, (count, 3)))
    return torch.from_numpy(rotations.as_matrix()).float(), shifts.float()


def apply_pose(
    points: Float[Tensor, "b n 3"],
    rotation: Float[Tensor, "b 3 3"],
    translation: Float[Tensor, "b 3"] | None = None,
) -> Float[Tensor, "b n 3"]:
    """R p + t, also under autocast in full precision: bf16 points are off by 0.3 mm."""
    with torch.autocast(points.device.type, enabled=False):
        rotated = points @ rotation.mT
    return rotated if translation is None else rotated + translation[:, None]


def to_rotation(matrix: Float[Tensor, "b 3 3"]) -> Float[Tensor, "b 3 3"]:
    """The rotation nearest to a matrix: U diag(1, 1, det UVᵀ) Vᵀ.

    Least squares; never a reflection (Levinson et al. 2020).  The gradient is finite
    where the rotation is unique, even at equal singular values as of the identity.
    """
    with torch.autocast(matrix.device.type, enabled=False):
        return _NearestRotation.apply(matrix)


class _NearestRotation(torch.autograd.Function):
    """R = U V'ᵀ of M = U Σ V'ᵀ, where V' and Σ hold the sign for which det R = 1.

    With A = Uᵀ dM V', the elements of Uᵀ dR V' are (A − Aᵀ)_ij / (σ_i + σ_j);
    PyTorch's gradient of the SVD divides by σ_i² − σ_j², which may be 0.
    """

    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        u, s, vt = torch.linalg.svd(matrix)
        sign = torch.ones_like(s)
        sign[:, 2] = torch.linalg.det(u @ vt).sign()
        vt = vt * sign[..., None]
        ctx.save_for_backward(u, s * sign, vt)
        return u @ vt

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        u, s, vt = ctx.saved_tensors
        inner = u.mT @ grad @ vt.mT
        total = (s[:, :, None] + s[:, None, :]).clamp(min=1e-6)
        return u @ ((inner - inner.mT) / total) @ vt
