"""Into the skull frame: a scan's surface laid onto a reference phantom."""

from functools import cache

import numpy as np
import pyvista as pv
from scipy.spatial.transform import Rotation

from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.register import apply, rigid_icp
from skfm_lib.data.voxels import skull_grid, surface
from skfm_lib.errors import SkfmError

VERTEX_Z = 118.0  # mm: top, front and back of an adult skull in the skull frame
MIDDLE_Y = 8.0  # mm, halfway between glabella (98) and occiput (−82)
REFERENCE = (114, 88, 128)  # 2.04 mm voxels: finer than skulls differ from each other
POINTS, SKETCH = 8000, 1500  # of the scan's surface, for the last fit and the first
TILTS = (-20.0, 0.0, 20.0)  # degrees of nodding to start from; ICP bridges the rest
POOR_FIT = 5.0  # mm; see `place`
HALF_TURN = np.diag([-1.0, -1.0, 1.0, 1.0])  # a mesh saved in LPS, as 3D Slicer does


def place(mesh: pv.PolyData) -> tuple[pv.PolyData, np.ndarray]:
    """The skull in the skull frame, and the rigid 4×4 that took it there (RAS mm).

    Coarse first: middle of the breadth to x = 0, vertex to VERTEX_Z, middle of the
    length to MIDDLE_Y.  Then trimmed ICP onto a complete phantom, in place of the
    experts' alignment of the paper: pose is removed, size is kept.  It starts from
    TILTS, as it is and after a half turn about z (LPS meshes); the closest counts.
    SkfmError if it stays farther than POOR_FIT from the phantom.
    """
    points = np.asarray(mesh.points, dtype=float)
    points = np.random.default_rng(0).permutation(points)[:POINTS]
    starts = [_pitch(tilt) @ turn for tilt in TILTS for turn in (np.eye(4), HALF_TURN)]
    fits = (_fit(points[:SKETCH], _coarse(points, start), 30) for start in starts)
    sketch, _ = min(fits, key=lambda fit: fit[1])
    matrix, distance = _fit(points, sketch, 100)
    if distance > POOR_FIT:
        raise SkfmError(
            f"the surface lies {distance:.1f} mm from a skull after registration",
            f"a skull, roughly upright, within {POOR_FIT:g} mm",
            "look at it; mend its orientation, its unit or the bone threshold",
        )
    return mesh.transform(matrix, inplace=False), matrix


def _coarse(points: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """`turn`, then the shift that puts vertex and middle where a skull has them."""
    turned = apply(turn, points)
    middle = (turned.min(axis=0) + turned.max(axis=0)) / 2
    start = turn.copy()
    start[:3, 3] = 0.0 - middle[0], MIDDLE_Y - middle[1], VERTEX_Z - turned[:, 2].max()
    return start


def _fit(
    points: np.ndarray, start: np.ndarray, iterations: int
) -> tuple[np.ndarray, float]:
    target, normals = _reference()
    step, distance = rigid_icp(
        apply(start, points), target, normals=normals, iterations=iterations
    )
    return step @ start, distance


def _pitch(degrees: float) -> np.ndarray:
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_euler("x", degrees, degrees=True).as_matrix()
    return matrix


@cache
def _reference() -> tuple[np.ndarray, np.ndarray]:
    """Surface points and outward unit normals (m, 3) of a complete phantom."""
    bone = phantom_skull(0, 5, REFERENCE)
    mesh = surface(bone, skull_grid(REFERENCE), 0.5).compute_normals(
        cell_normals=False, split_vertices=False, consistent_normals=False
    )
    return mesh.points.astype(float), mesh.point_data["Normals"].astype(float)
