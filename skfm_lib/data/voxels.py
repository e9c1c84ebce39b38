"""The voxel grid and its place in millimetres.

The one module that states how index order and patient space belong together:
a volume is indexed ``[i, j, k]`` = (D, H, W) = (posterior→anterior, left→right,
inferior→superior), a point is ``(x, y, z)`` = RAS+ millimetres (right, anterior,
superior).  So ``i`` runs with y, ``j`` with x and ``k`` with z.

The skull frame is the craniometric one: its origin lies midway between the two
ear openings (porion), and the Frankfurt plane (ear openings and lower orbital
rims) is horizontal.  The paper's 456×352×512 grid at 0.51 mm (§3.3) is centred on
``FRAME_CENTRE`` in that frame.
"""

from dataclasses import dataclass

import numpy as np

PAPER_SHAPE = (456, 352, 512)  # voxels, paper §3.3
PAPER_SPACING = 0.51  # mm, paper §3.3
FRAME_CENTRE = (0.0, 9.0, 6.0)  # mm; leaves ≥ 15 mm around a complete adult skull


@dataclass(frozen=True)
class Grid:
    """A regular isotropic voxel grid in RAS+ millimetres.

    shape    voxels along (D, H, W) = (y, x, z)
    spacing  edge of a voxel, mm
    origin   (x, y, z) of the *centre* of voxel [0, 0, 0], mm
    """

    shape: tuple[int, int, int]
    spacing: float
    origin: tuple[float, float, float]

    def axes(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Voxel-centre coordinates (x of H, y of D, z of W), mm, float32, 1-D each."""
        depth, height, width = self.shape
        counts = (height, depth, width)
        return tuple(
            (o + self.spacing * np.arange(n)).astype(np.float32)
            for o, n in zip(self.origin, counts)
        )

    @property
    def affine(self) -> np.ndarray:
        """4×4 matrix from homogeneous index (i, j, k, 1) to RAS (x, y, z, 1), mm."""
        matrix = np.zeros((4, 4))
        matrix[1, 0] = matrix[0, 1] = matrix[2, 2] = self.spacing
        matrix[:3, 3], matrix[3, 3] = self.origin, 1.0
        return matrix

    def to_mm(self, index: np.ndarray) -> np.ndarray:
        """RAS points (n, 3) in mm of the (fractional) indices (n, 3)."""
        return index @ self.affine[:3, :3].T + self.affine[:3, 3]

    def to_index(self, points: np.ndarray) -> np.ndarray:
        """Fractional indices (n, 3) of the RAS points (n, 3) in mm."""
        return (points - self.affine[:3, 3]) @ np.linalg.inv(self.affine[:3, :3]).T


def skull_grid(shape: tuple[int, int, int] = PAPER_SHAPE) -> Grid:
    """The paper's field of view sampled with `shape` voxels, in the skull frame.

    The spacing is the paper's 0.51 mm times the coarsest axis ratio, so that no
    axis covers less than the paper's field of view; the centre stays in place.
    Spacing and origin are whole multiples of 1e-5 mm, which survive a NIfTI header.
    """
    ratio = max(full / n for full, n in zip(PAPER_SHAPE, shape))
    spacing = round(PAPER_SPACING * ratio, 5)
    depth, height, width = shape
    extent = spacing * (np.array([height, depth, width]) - 1)
    origin = np.array(FRAME_CENTRE) - extent / 2
    return Grid(tuple(shape), spacing, tuple(round(float(o), 5) for o in origin))
