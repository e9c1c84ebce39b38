"""A trained aligner put to one skull: motions that fit together, and their spread."""

import numpy as np
import pytest
import pyvista as pv
import torch
from scipy.spatial.transform import Rotation

from skfm_lib.data.registration.rigid_icp import apply
from skfm_lib.models import Aligner
from skfm_lib.models.pointcloud import apply_pose
from skfm_lib.presets import preset
from skfm_lib.tasks.alignment import align_skull
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

CPU = Device(torch.device("cpu"), torch.float32)
SETTINGS = preset("tiny").aligner.but(points=6000)


class Knowing(Aligner):
    """An aligner that knows the shape: half an ellipsoid, and the pose it is to have.

    It fits by moments, with the errors (degrees) it is given, one a try.
    """

    def __init__(self, errors=(0.0,)):
        super().__init__(SETTINGS)
        self.errors = errors

    def forward(self, points):
        turns, shifts = [], []
        for i, cloud in enumerate(points.double().numpy()):
            middle = cloud.mean(0)
            _, _, axes = np.linalg.svd(cloud - middle, full_matrices=False)
            skew = (((cloud - middle) @ axes.T) ** 3).mean(0)
            axes *= np.where(skew < 0, -1, 1)[:, None]
            axes[1] *= np.linalg.det(axes)
            error = self.errors[i % len(self.errors)]
            axes = Rotation.from_euler("z", error, degrees=True).as_matrix() @ axes
            turns.append(axes)
            shifts.append(-axes @ middle)
        turn, shift = (torch.tensor(np.array(x)).float() for x in (turns, shifts))
        return apply_pose(points, turn, shift), turn, shift


def body():
    """A lopsided body whose moments tell its pose: all three are skewed."""
    ball = pv.Sphere(radius=1.0, theta_resolution=60, phi_resolution=60)
    points = ball.points * [90.0, 60.0, 40.0]
    points = points + 0.25 * np.abs(points)
    return pv.PolyData.from_regular_faces(points, ball.regular_faces)


def test_the_same_skull_in_two_frames_comes_to_one_place():
    mesh = body()
    moved = mesh.rotate_x(20).rotate_z(10).translate((300.0, -40.0, 900.0))
    first, second = (align_skull(Knowing(), m, CPU).matrix for m in (mesh, moved))
    gap = apply(first, mesh.points) - apply(second, moved.points)
    assert np.linalg.norm(gap, axis=1).mean() < 2.0
    for matrix in (first, second):
        assert np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-5)


def test_the_spread_is_the_disagreement_of_the_tries():
    mesh = body()
    sure = align_skull(Knowing(), mesh, CPU).spread
    unsure = align_skull(Knowing((-6.0, 6.0)), mesh, CPU)
    radius = np.linalg.norm((mesh.points - mesh.center)[:, :2], axis=1).mean()
    assert sure < 2.0
    assert unsure.spread == pytest.approx(np.deg2rad(6) * radius, rel=0.35)


def test_an_empty_mesh_is_refused():
    with pytest.raises(SkfmError, match="without area"):
        align_skull(Knowing(), pv.PolyData(), CPU)
