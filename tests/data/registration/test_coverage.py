"""Coverage is a share of known surfaces; skulls have enough, and nothing else does."""

import numpy as np
import pytest
import pyvista as pv
from no_skulls import FRAGMENTS, THINGS, fragment, posed, thing
from own_frame import GRID, X, Y, Z, own_skull

from skfm_lib.data.registration import coverage as module
from skfm_lib.data.registration.canonical_pose import register
from skfm_lib.data.registration.coverage import (
    INNER,
    ORBITS,
    OUTER,
    Coverage,
    check_coverage,
    coverage,
    regions,
)
from skfm_lib.data.registration.shape_model import MODES, Reference, reference
from skfm_lib.data.voxels import surface
from skfm_lib.utils.errors import SkfmError

MEAN = np.zeros(MODES)
HALVES = slice(2000), slice(2000, None)  # points of the outer and the inner sphere
R, WALL = 70.0, 12.0  # mm, of the spheres


def ball(radius: float) -> pv.PolyData:
    return pv.Icosphere(radius=radius, nsub=5)


def shell(radius: float = R) -> pv.PolyData:
    return ball(radius).merge(ball(radius - WALL).flip_faces())


@pytest.fixture
def spheres(monkeypatch) -> np.ndarray:
    """Points of two concentric spheres, as the reference: the walls of a ball."""
    directions = np.random.default_rng(0).normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    points = np.vstack([R * directions, (R - WALL) * directions])
    normals = np.vstack([directions, -directions])
    model = Reference(points, normals, np.zeros((MODES, 4000, 3)))
    monkeypatch.setattr(module, "reference", lambda: model)
    return points


def shares(mesh: pv.PolyData) -> tuple[float, float]:
    """Of the outer and the inner sphere in view, what is met."""
    found = coverage(mesh, MEAN)
    outer, inner = (found.met[half][found.seen[half]] for half in HALVES)
    return float(outer.mean()), float(inner.mean())


def test_both_surfaces_of_a_wall_count(spheres):
    assert shares(shell()) == (1, 1)
    assert shares(ball(R)) == (1, 0)  # filled, or an outer surface alone
    assert shares(ball(R - WALL)) == (0, 0)  # the filled cavity faces outwards
    assert min(shares(shell(R + 5))) > 0.99
    assert shares(shell(R + 11)) == (0, 0)


def test_triangles_may_face_anywhere(spheres):
    mesh = shell()
    faces = mesh.regular_faces
    faces[::2] = faces[::2, ::-1]
    assert shares(pv.PolyData.from_regular_faces(mesh.points, faces)) == (1, 1)


def test_a_hole_is_its_share_of_the_sphere(spheres):
    """A cone of 50° around x; its edges are met within REACH."""
    x, y, z = np.meshgrid(*GRID.refined(2).axes(), indexing="xy")
    r = np.sqrt(x * x + y * y + z * z)
    wall = (r < R) & (r > R - WALL) & (x < np.cos(np.deg2rad(50)) * r)
    met = shares(surface(wall, GRID.refined(2), 0.5))
    for share, radius in zip(met, (R, R - WALL)):
        edge = np.rad2deg(module.REACH / radius)
        least, most = ((1 + np.cos(np.deg2rad(a))) / 2 for a in (50, 50 - edge))
        assert least - 0.01 < share < most


def test_only_what_is_between_the_ends_is_in_view(spheres):
    """A slab of the shell, tilted by 20° about x: nothing of it is missing."""
    low = np.array([0, np.sin(np.deg2rad(20)), np.cos(np.deg2rad(20))])
    x, y, z = np.meshgrid(*GRID.refined(2).axes(), indexing="xy")
    r, height = np.sqrt(x * x + y * y + z * z), low[1] * y + low[2] * z
    wall = (r < R) & (r > R - WALL) & (height > -20) & (height < 30)
    found = coverage(surface(wall, GRID.refined(2), 0.5), MEAN)
    inside = np.abs(spheres @ low - 5) < 25
    assert (found.seen == inside).mean() > 0.97
    assert found.met[found.seen].mean() > 0.99


def test_nothing_in_the_grid_is_nothing_met():
    found = coverage(ball(30.0).translate((0.0, 900.0, 0.0)), MEAN)
    assert not found.met.any()
    with pytest.raises(SkfmError, match="only 0 % of a skull's surface .* no vault"):
        check_coverage(found)


def test_regions_are_symmetric_and_disjoint():
    parts = regions()
    assert np.sum(list(parts.values()), axis=0).max() == 1
    x = reference().points[:, 0]
    left, right = (parts[name] for name in ORBITS)
    assert x[left].max() < 0 < x[right].min()
    assert left.sum() == pytest.approx(right.sum(), rel=0.2)
    assert parts[INNER].sum() == pytest.approx(parts[OUTER].sum(), rel=0.2)


def test_a_share_of_little_in_view_is_not_rated():
    none = np.zeros(len(reference().points), bool)
    assert Coverage(none, none).share(*ORBITS) == 1
    assert Coverage(none, none).shown(*ORBITS) == 0
    assert Coverage(none, none).by_region() == {}


@pytest.mark.parametrize("quality", [2, 3, 4, 5, 6])
def test_phantoms_pass(quality):
    """In the mean shape, which is farther off than their own."""
    for seed in (8100, 8101):
        check_coverage(coverage(own_skull(seed, quality), MEAN))


def test_a_face_that_ends_below_the_orbits_passes():
    found = coverage(own_skull(8100, 6, Z < -2), MEAN)
    assert found.shown(*ORBITS) < 0.15
    check_coverage(found)


def test_what_surgeons_and_saws_take_may_be_missing():
    flap = np.sqrt((X - 70) ** 2 / 4 + Y**2 + (Z - 65) ** 2) < 60
    saw = np.abs(Z - 60) < GRID.spacing / 2
    found = coverage(own_skull(8102, 3, ~flap & ~saw), MEAN)
    check_coverage(found)
    assert found.share(OUTER) < 0.85


@pytest.mark.parametrize("name", [*THINGS, *FRAGMENTS])
def test_what_is_no_skull_is_refused(name):
    """Where the head would be; fragments, where they were."""
    mesh = fragment(name, 8103) if name in FRAGMENTS else thing(name)
    if name in THINGS:
        mesh = mesh.translate(np.array([0.0, 8.0, 45.0]) - mesh.center)
    with pytest.raises(SkfmError, match=r"only \d+ % of .* is there|it is solid"):
        check_coverage(coverage(mesh, MEAN))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("plate", "a skull's surface is there: no vault, .*no nose, no skull base"),
        ("hollow egg", "lower and upper ends is there: no left orbit, no right orbit"),
        # Its shoulders fit nowhere (25 mm off): its pose decides which comes first.
        ("bust", "it is solid: |a skull's surface is there: no vault"),
        ("solid head", "it is solid: "),
    ],
)
def test_registration_refuses_it_too(name, message):
    mesh = fragment(name, 8103) if name in FRAGMENTS else thing(name)
    with pytest.raises(SkfmError, match=message):
        register(posed(mesh, 4))
