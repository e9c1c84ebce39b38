"""The tools: motions that fit together, and implants that are closed and in place."""

import numpy as np
import pytest
import pyvista as pv
import torch
import trimesh
from scipy.spatial.transform import Rotation

from skfm_lib.data.register import apply
from skfm_lib.device import Device
from skfm_lib.errors import SkfmError
from skfm_lib.points import apply_pose
from skfm_lib.presets import preset
from skfm_lib.tasks import tools
from skfm_lib.tasks.tools import align_skull, complete_skull, implant

CPU = Device(torch.device("cpu"), torch.float32)
SETTINGS = preset("tiny")


class Knowing:
    """An aligner that knows the shape: half an ellipsoid, and the pose it is to have.

    It fits by moments, with the errors (degrees) it is given, one a try.
    """

    settings = SETTINGS.aligner.but(points=6000)

    def __init__(self, errors=(0.0,)):
        self.errors = errors

    def __call__(self, points):
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


def skull():
    """A spherical shell of 70 to 75 mm."""
    outer, inner = (pv.Sphere(radius=r, theta_resolution=40) for r in (75.0, 70.0))
    return outer.append_polydata(inner)


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


def test_an_implant_is_closed_fills_the_gap_and_spares_the_bone():
    random = np.random.default_rng(0).normal(size=(4000, 3))
    shell = 72.5 * random / np.linalg.norm(random, axis=1, keepdims=True)
    lost = shell[shell[:, 0] > 54]
    bone = pv.Cube(bounds=(66, 90, 0, 90, -90, 90)).triangulate()  # in its way
    made = implant(lost, bone, 4.0)
    solid = trimesh.Trimesh(made.points, made.regular_faces)
    assert solid.is_watertight and solid.volume > 0
    assert made.bounds[0] > 45 and made.bounds[1] < 82
    depth = np.linalg.norm(made.points, axis=1)
    assert depth.min() > 66 and depth.max() < 79
    free = implant(lost, pv.Sphere(radius=5, center=(0, 0, 300)), 4.0)
    assert free.points[:, 1].max() > 40 and made.volume < 0.9 * free.volume
    inside = (made.points[:, 0] > 69) & (made.points[:, 1] > 3)
    assert not inside.any()


def test_far_crumbs_are_no_part_of_the_implant():
    random = np.random.default_rng(0)
    lump, crumb = random.normal(size=(300, 3)) * 5, np.array([[80.0, 80.0, 80.0]])
    made = implant(
        np.vstack([lump, crumb]), pv.Sphere(radius=5, center=(0, 0, 300)), 3.0
    )
    assert np.abs(made.points).max() < 40


def test_nothing_is_missing_where_the_cloud_lies_on_the_skull(monkeypatch):
    mesh, model = skull(), type("Model", (), {"settings": SETTINGS.completer})
    monkeypatch.setattr(tools, "complete", lambda model, partial, device: partial)
    found = complete_skull(model, mesh, CPU)
    assert not found.missing.any() and found.implant is None
    assert found.cloud.shape == (256, 3)


def test_what_lacks_bone_is_found(monkeypatch):
    model = type("Model", (), {"settings": SETTINGS.completer.but(points=4000)})
    whole = np.random.default_rng(1).normal(size=(4000, 3))
    whole = 75 * whole / np.linalg.norm(whole, axis=1, keepdims=True)
    cloud = torch.from_numpy(whole).float()[None]
    monkeypatch.setattr(tools, "complete", lambda *_: cloud)
    cut = skull().clip("x", origin=(50, 0, 0), invert=True).triangulate()
    found = complete_skull(model, cut, CPU)
    assert (found.cloud[found.missing][:, 0] > 50).all()
    assert found.missing.sum() > 0.8 * (whole[:, 0] > 56).sum()
    assert trimesh.Trimesh(
        found.implant.points, found.implant.regular_faces
    ).is_watertight


def test_only_what_is_near_the_defect_is_filled(monkeypatch):
    model = type("Model", (), {"settings": SETTINGS.completer.but(points=4000)})
    whole = np.random.default_rng(1).normal(size=(4000, 3))
    whole = 75 * whole / np.linalg.norm(whole, axis=1, keepdims=True)
    cloud = torch.from_numpy(whole).float()[None]
    monkeypatch.setattr(tools, "complete", lambda *_: cloud)
    cut = skull().clip("x", origin=(60, 0, 0), invert=True)
    cut = cut.clip("x", origin=(-20, 0, 0), invert=False).triangulate()
    far = complete_skull(model, cut, CPU)  # the larger gap is on the left
    found = complete_skull(model, cut, CPU, np.array([75.0, 0, 0]))
    assert far.implant.bounds[1] < 0 < 55 < found.implant.bounds[0]
    assert (found.cloud[found.missing][:, 0] > 55).all()


def test_an_empty_mesh_is_refused():
    with pytest.raises(SkfmError, match="without area"):
        align_skull(Knowing(), pv.PolyData(), CPU)
