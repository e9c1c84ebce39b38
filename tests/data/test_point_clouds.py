"""Clouds: uniform on the surface, kept on disk, drawn again and again."""

import numpy as np
import pytest
import pyvista as pv
import torch

from skfm_lib.data.point_clouds import (
    KEPT,
    concatenate,
    distance_to_surface,
    load_clouds,
)
from skfm_lib.data.voxels import sample_surface
from skfm_lib.utils.errors import SkfmError


@pytest.fixture(scope="module")
def clouds(phantoms, tmp_path_factory):
    return load_clouds(phantoms, tmp_path_factory.mktemp("clouds"))


def test_points_lie_on_the_surface_in_proportion_to_area():
    box = pv.Cube(x_length=10, y_length=20, z_length=40).triangulate()
    points = sample_surface(box, 20_000, seed=1)
    assert np.allclose(abs(points / (5, 10, 20)).max(axis=1), 1)
    ends = np.isclose(abs(points[:, 2]), 20).mean()
    assert ends == pytest.approx(2 * 200 / 2800, abs=0.01)
    assert np.array_equal(points, sample_surface(box, 20_000, seed=1))
    assert not np.array_equal(points, sample_surface(box, 20_000, seed=2))


@pytest.mark.parametrize("mesh", [pv.PolyData(), pv.PolyData(np.zeros((3, 3)))])
def test_a_mesh_without_area_is_reported(mesh):
    with pytest.raises(SkfmError, match="without area"):
        sample_surface(mesh, 10, seed=0)


def test_distance_to_a_surface_is_exact():
    box = pv.Cube(x_length=10, y_length=20, z_length=40).triangulate()
    points = np.array([[9.0, 0, 0], [5, 10, 20], [0, 0, 0], [8, 14, 0]])
    assert np.allclose(distance_to_surface(points, box), [4, 0, 5, 5])


def test_clouds_are_the_skulls_in_millimetres(clouds, phantoms):
    assert len(clouds) == len(phantoms) and clouds.points.shape[1:] == (KEPT, 3)
    assert clouds.qualities == phantoms.qualities
    assert clouds.names == [skull.name for skull in phantoms.skulls]
    for item in (0, 5):
        mesh = phantoms.surface(item)
        points = clouds.points[item].double().numpy()
        assert distance_to_surface(points, mesh).max() < 0.12  # half precision
        low, high = np.reshape(mesh.bounds, (3, 2)).T
        assert (points.min(0) - low).max() < 8.2 > (high - points.max(0)).max()


def test_they_are_made_once(clouds, phantoms, tmp_path):
    again = load_clouds(phantoms, tmp_path)
    assert torch.equal(again.points, clouds.points)
    name = phantoms.skulls[2].name
    (tmp_path / f"{name}.safetensors").write_bytes(b"nothing")
    with pytest.raises(SkfmError, match=f"{name}.*cannot be read.*remove it"):
        load_clouds(phantoms, tmp_path)
    (tmp_path / f"{name}.safetensors").unlink()
    assert torch.equal(load_clouds(phantoms, tmp_path).points, clouds.points)


def test_first_and_last_points_are_two_samples(clouds):
    half = KEPT // 2
    first, last = clouds.first(half), clouds.last(half)
    assert first.dtype == torch.float32
    assert torch.equal(torch.cat([first, last], 1), clouds.points.float())


def test_drawing_is_random_but_repeatable(clouds):
    def draw(seed):
        return clouds.sample([4, 4, 1], 100, torch.Generator().manual_seed(seed))

    a, b, c = draw(0), draw(0), draw(1)
    assert a.shape == (3, 100, 3) and torch.equal(a, b) and not torch.equal(a, c)
    assert not torch.equal(a[0], a[1])
    known = set(map(tuple, clouds.points[1].float().tolist()))
    assert set(map(tuple, a[2].tolist())) <= known


def test_parts_and_unions(clouds):
    part = clouds.subset([3, 0])
    assert part.names == [clouds.names[3], clouds.names[0]]
    both = concatenate([part, clouds])
    assert len(both) == 8 and both.names == part.names + clouds.names
    assert both.qualities == part.qualities + clouds.qualities
    assert torch.equal(both.points[2:], clouds.points)
