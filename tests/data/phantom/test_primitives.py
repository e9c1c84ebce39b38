"""Distance fields against closed forms; bone on coarse lattices."""

import numpy as np
import pytest
from scipy import ndimage

from skfm_lib.data.bone_fractions import LEVEL
from skfm_lib.data.phantom.cranium import polynomial
from skfm_lib.data.phantom.distance_field import BoneField
from skfm_lib.data.phantom.primitives import (
    SphereMesh,
    Superellipsoid,
    parts_of,
    smooth_min,
)
from skfm_lib.data.phantom.subdivision import bspline, loop

RNG = np.random.default_rng(0)
POINTS = RNG.uniform(-20, 20, (3, 500)).astype(np.float32)


def lattice(spacing: float, half: float = 20.0) -> np.ndarray:
    axis = np.arange(-half, half, spacing, dtype=np.float32)
    return np.stack(np.meshgrid(axis, axis, axis, indexing="ij"))


def test_strut_with_equal_radii_is_a_capsule() -> None:
    (part,) = parts_of([np.array([[-5, 0, 0, 2], [5, 0, 0, 2]])])
    x, y, z = POINTS
    expected = np.sqrt(np.clip(np.abs(x) - 5, 0, None) ** 2 + y**2 + z**2) - 2
    assert part.distance(POINTS) == pytest.approx(expected, abs=1e-4)
    reach, radius = part.skeleton(POINTS)
    assert reach == pytest.approx(expected + 2, abs=1e-4)
    assert radius == pytest.approx(2)


def test_plate_is_a_slab_over_its_triangle_only() -> None:
    (part,) = parts_of([np.array([[0, 0, 0, 1], [30, 0, 0, 1], [0, 30, 0, 1]])])
    x, y, z = POINTS
    over = (x > 0.1) & (y > 0.1) & (x + y < 29.9)
    beyond = (x < -0.1) | (y < -0.1)
    d = part.distance(POINTS)
    assert d[over] == pytest.approx(np.abs(z[over]) - 1, abs=1e-3)
    assert over.any() and (d[beyond] > 100).all()


def test_ellipsoid_contains_its_volume() -> None:
    field = BoneField(lattice(0.5), 0.5)
    field.add(Superellipsoid((1, 2, 3), (6, 8, 10), yaw=30), midline=True)
    volume = (field.bone[0] < 0).sum() * 0.5**3
    assert volume == pytest.approx(4 / 3 * np.pi * 480, rel=0.02)


def test_left_mirrors_right() -> None:
    field = BoneField(lattice(1.0) + 0.5, 1.0)
    field.add(Superellipsoid((9, 2, 3), (3, 6, 4), yaw=25))
    field.add(SphereMesh({"a": (4, -9, 0, 2), "b": (14, -2, 5, 1)}, struts="a b"))
    bone = field.bone[0] < 0
    assert bone.sum() > 300 and (bone == bone[::-1]).all()


def test_thin_walls_stay_closed_on_coarse_lattices() -> None:
    """An oblique wall 0.2 mm thick on a 4 mm lattice still parts its two sides."""
    corners = {"a": (-60, -60, -20, 0.1), "b": (60, -60, 10, 0.1),
               "c": (60, 60, 30, 0.1), "d": (-60, 60, 0, 0.1)}  # fmt: skip
    field = BoneField(lattice(4.0, 40.0), 4.0)
    field.add(SphereMesh(corners, "a b c, a c d"), midline=True)
    assert ndimage.label(field.fraction() <= LEVEL)[1] == 2
    assert ndimage.label(field.bone[0] >= 0)[1] == 1


def wall(radius: float) -> SphereMesh:
    """An upright wall across a lattice, oblique to its axes."""
    corners = {"a": (-120, -50, -100), "b": (120, 50, -100), "c": (0, 0, 400)}
    return SphereMesh({n: (*p, radius) for n, p in corners.items()}, "a b c")


@pytest.mark.parametrize("radius", [0.05, 0.1, 0.2, 0.4])
def test_sheets_on_fine_lattices_keep_their_mass(radius) -> None:
    """Bone along y in mm, through a wall whose normal is 22.6° from it."""
    field = BoneField(lattice(0.5, 10.0), 0.5)
    field.add(wall(radius), midline=True)
    through = field.fraction().sum(axis=1).mean() * 0.5
    assert through == pytest.approx(2 * radius / np.cos(np.arctan(50 / 120)), rel=0.02)


def test_walls_that_the_scanner_loses_are_left_out() -> None:
    """Thickening makes the wall, 0.2 mm, 0.11 mm thick below and 0.29 mm above."""
    points = lattice(4.08, 40.0)
    thickening = np.where(points[2] < 0, -1.7, 1.0).astype(np.float32)
    field = BoneField(points, 4.08, thickening, lost=0.15)
    field.add(wall(0.1), midline=True, walls=True)
    bone = field.fraction() > LEVEL
    assert not bone[points[2] < 0].any()
    assert ndimage.label(~bone[:, :, points[2, 0, 0] >= 0])[1] == 2


def test_cavities_keep_a_wall() -> None:
    field = BoneField(lattice(0.5), 0.5)
    field.add(Superellipsoid((0, 0, 0), (18, 18, 18)), midline=True)
    field.cut(Superellipsoid((-5, 0, 0), (6, 6, 6)), midline=True)
    field.cut(Superellipsoid((5, 0, 0), (6, 6, 6)), wall=2.0, midline=True)
    _, count = ndimage.label(field.bone[0] > 0)
    assert count == 3  # outside and two separate cavities


def test_closed_cavities_stay_under_the_surface() -> None:
    field = BoneField(lattice(0.5), 0.5)
    field.add(Superellipsoid((0, 0, 0), (18, 18, 18)), midline=True)
    near_surface = Superellipsoid((0, 19, 0), (4, 4, 4))  # 3 mm deep at most
    field.cut(near_surface, wall=3.5, midline=True, closed=True)
    assert ndimage.label(field.bone[0] > 0)[1] == 1
    field.cut(near_surface, wall=1.0, midline=True, closed=True)
    assert ndimage.label(field.bone[0] > 0)[1] == 2


def test_smooth_union_is_the_minimum_away_from_the_crease() -> None:
    a, b = RNG.normal(0, 5, (2, 1000))
    far = np.abs(a - b) > 2
    joined = smooth_min(a, b, 2.0)
    assert joined[far] == pytest.approx(np.minimum(a, b)[far])
    assert (joined <= np.minimum(a, b)).all()
    assert smooth_min(np.ones(1), np.ones(1), 2.0) == 0.5


def test_polynomial_is_the_sum_of_its_terms() -> None:
    terms = {(0, 0, 6): 2.0, (2, 3, 1): -1.5, (4, 0, 0): 3.0, (0, 0, 0): 0.5}
    x, y, z = RNG.normal(0, 1, (3, 20))
    expected = sum(c * x**i * y**j * z**k for (i, j, k), c in terms.items())
    assert polynomial(terms, x, y, z) == pytest.approx(expected)


def test_subdivision_keeps_planes_and_straight_chains() -> None:
    grid = np.array([(i, j, 2 * i - j) for i in range(3) for j in range(3)], float)
    faces = np.array([
        f for i in range(2) for j in range(2)
        for a in [3 * i + j] for f in ((a, a + 1, a + 3), (a + 1, a + 4, a + 3))
    ])  # fmt: skip
    fine, triangles = loop(grid, faces)
    assert len(triangles) == 4 * len(faces) and len(fine) == 9 + 16
    assert fine[:, 2] == pytest.approx(2 * fine[:, 0] - fine[:, 1])
    chain = np.outer(np.arange(4.0), [1, 2, 3])
    assert bspline(chain) == pytest.approx(np.outer(np.arange(0, 3.1, 0.5), [1, 2, 3]))
