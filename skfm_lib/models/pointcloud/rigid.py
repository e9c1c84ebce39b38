"""Rigid motions of clouds: drawn, applied, and made from nine numbers."""

import numpy as np
import torch
from scipy.spatial.transform import Rotation
from torch import Tensor


def random_poses(
    count: int, degrees: float, millimetres: float, seed: int
) -> tuple[Tensor, Tensor]:
    """Rotations (count, 3, 3) and translations (count, 3), float32.

    degrees      every Euler angle (x, y, z) is U(−degrees, degrees), as DCP draws
                 them (Wang and Solomon 2019); 180 means any rotation, uniformly
    millimetres  every component of the translation is U(−millimetres, millimetres)
    """
    rng = np.random.default_rng(seed)
    if degrees >= 180:
        turns = Rotation.random(count, rng)
    else:
        angles = rng.uniform(-degrees, degrees, (count, 3))
        turns = Rotation.from_euler("xyz", angles, degrees=True)
    shifts = rng.uniform(-millimetres, millimetres, (count, 3))
    return (
        torch.from_numpy(turns.as_matrix()).float(),
        torch.from_numpy(shifts).float(),
    )


def apply_pose(
    points: Tensor, rotation: Tensor, translation: Tensor | None = None
) -> Tensor:
    """R p + t for points (b, n, 3), rotation (b, 3, 3), translation (b, 3) or none.

    Exact under autocast too: in bf16 a skull's points would move by 0.3 mm.
    """
    with torch.autocast(points.device.type, enabled=False):
        turned = points @ rotation.mT
    return turned if translation is None else turned + translation[:, None]


def to_rotation(matrix: Tensor) -> Tensor:
    """The rotation (b, 3, 3) nearest to a matrix: U diag(1, 1, det UVᵀ) Vᵀ.

    Least squares; never a reflection (Levinson et al. 2020).  Its gradient is finite
    wherever the rotation is unique, even at equal singular values as the identity has.
    """
    with torch.autocast(matrix.device.type, enabled=False):
        return _Nearest.apply(matrix)


class _Nearest(torch.autograd.Function):
    """R = U V'ᵀ of M = U Σ V'ᵀ, where V' and Σ hold the sign that makes det R = 1.

    With A = Uᵀ dM V', the turn Uᵀ dR V' has the elements (A − Aᵀ)_ij / (σ_i + σ_j);
    PyTorch's gradient of the SVD divides by σ_i² − σ_j², which may be 0.
    """

    @staticmethod
    def forward(ctx, matrix):
        u, s, vt = torch.linalg.svd(matrix)
        sign = torch.ones_like(s)
        sign[:, 2] = torch.linalg.det(u @ vt).sign()
        vt = vt * sign[..., None]
        ctx.save_for_backward(u, s * sign, vt)
        return u @ vt

    @staticmethod
    def backward(ctx, grad):
        u, s, vt = ctx.saved_tensors
        inner = u.mT @ grad @ vt.mT
        total = (s[:, :, None] + s[:, None, :]).clamp(min=1e-6)
        return u @ ((inner - inner.mT) / total) @ vt
