"""The two sides of a skull, laid upon each other."""

import numpy as np
from scipy import ndimage

from skfm_lib.data.voxels import Grid
from skfm_lib.evaluation.screening.downsampling import (
    COARSE,
    CORNERS,
    FINE,
    block,
    blocks,
    check_bone,
)

UNEVEN = 1.0  # cm³ in one piece: what the eye notices on one side only
NEAR = 6.0  # mm; a face that is even to the eye differs by less between its sides


def asymmetry(bone: np.ndarray, grid: Grid) -> float:
    """Bone (cm³) without a counterpart on the other side, in pieces of 1 cm³ or more.

    The skull is mirrored in the plane near x = 0 that lays it best upon itself
    (least squares over shift, yaw and roll).  Bone counts whose mirror image is
    more than NEAR mm, or two cells of the comparison, from any bone.
    """
    check_bone(bone, grid)
    cells = blocks(bone, grid, FINE)
    where = np.argwhere(cells > 0)
    image = np.rint(_reflected(where, _mirror_plane(bone, grid), cells.shape))
    inside = ((image >= 0) & (image < cells.shape)).all(axis=1)
    step = grid.spacing * block(grid, FINE)
    ball = ndimage.generate_binary_structure(3, 2)
    reach = max(2, round(NEAR / step))
    near = ndimage.binary_dilation(cells > 0, ball, iterations=reach)
    alone = np.zeros(cells.shape, np.float32)
    alone[tuple(where.T)] = cells[tuple(where.T)] * step**3 / 1000
    alone[tuple(where[inside][near[tuple(image[inside].astype(int).T)]].T)] = 0
    labels, n = ndimage.label(alone > 0, CORNERS)
    pieces = ndimage.sum_labels(alone, labels, np.arange(1, n + 1))
    return float(pieces[pieces >= UNEVEN].sum())


def _mirror_plane(bone: np.ndarray, grid: Grid) -> np.ndarray:
    """Unit normal and offset (4,) of the plane of symmetry, in cells of FINE mm.

    Gauss–Newton from the grid's own middle, on cells twice as large; the slopes are
    taken once, for skulls in the skull frame lie within 2° and 2 mm of it.
    """
    soft = ndimage.gaussian_filter(blocks(bone, grid, COARSE), 0.7)
    middle = (np.array(soft.shape) - 1) / 2

    def plane(fit: np.ndarray) -> tuple[np.ndarray, float]:
        shift, yaw, roll = fit
        normal = np.array([yaw, 1.0, roll]) / np.hypot(np.hypot(yaw, roll), 1)
        return normal, normal @ middle + shift

    def difference(fit: np.ndarray) -> np.ndarray:
        normal, offset = plane(fit)
        matrix = np.eye(3) - 2 * np.outer(normal, normal)
        mirrored = ndimage.affine_transform(soft, matrix, 2 * offset * normal, order=1)
        return (mirrored - soft).ravel()

    fit, steps = np.zeros(3), np.diag([0.1, 0.01, 0.01])
    slopes = [(difference(s) - difference(-s)) / (2 * s.sum()) for s in steps]
    for _ in range(6):
        fit -= np.linalg.lstsq(np.stack(slopes, axis=1), difference(fit))[0]
    normal, offset = plane(fit)
    # From coarse cells to fine ones: the centre of cell 0 lies further out.
    f = block(grid, COARSE) / block(grid, FINE)
    return np.append(normal, offset * f + (f - 1) / 2 * normal.sum())


def _reflected(
    points: np.ndarray, plane: np.ndarray, shape: tuple[int, ...]
) -> np.ndarray:
    normal, offset = plane[:3], plane[3]
    return points - 2 * (points @ normal - offset)[:, None] * normal
