"""The shape model's complete surface: the template moved, and fitted to a part."""

import numpy as np
import pytest
from own_frame import Z, own_skull

from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.registration.shape_completion import (
    complete_surface,
    warped_template,
)
from skfm_lib.data.registration.shape_model import (
    from_template,
    template_mesh,
    template_surface,
)


def test_the_template_stays_where_its_points_stay():
    warped = warped_template(template_surface()[0].T)
    np.testing.assert_allclose(warped.points, template_mesh().points, atol=1e-3)
    assert warped.n_open_edges == template_mesh().n_open_edges


@pytest.mark.parametrize("seed", [1, 2])
def test_vertices_between_the_points_move_with_them(seed):
    warped = warped_template(from_template(seed, template_surface()[0]))
    vertices = np.asarray(template_mesh().points)[::20]
    truth = from_template(seed, vertices.T)
    off = np.linalg.norm(np.asarray(warped.points)[::20] - truth, axis=1)
    moved = np.linalg.norm(vertices - truth, axis=1)
    assert off.mean() < 0.2 and np.quantile(off, 0.99) < 1 < 3 < moved.mean()


def test_a_skull_without_its_vertex_gets_one():
    whole, part = own_skull(8005, 5), own_skull(8005, 5, Z < 100)
    made = complete_surface(part)
    lost = np.asarray(whole.points)[whole.points[:, 2] > 105]
    assert distance_to_surface(lost, made).mean() < 5
    assert distance_to_surface(lost, part).mean() > 8
    kept = np.asarray(part.points)[::10]
    assert distance_to_surface(kept, made).mean() < 1.5
