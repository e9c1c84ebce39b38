"""Random shape: size, smoothness, sides; what it keeps of measures and frame."""

import numpy as np
import pytest

from skfm_lib.data.phantom.craniometry import craniometry
from skfm_lib.data.phantom.template import to_template
from skfm_lib.data.phantom.variation import (
    DEVIATION,
    ENDS,
    LANDMARKS,
    SPACING,
    check_unfolded,
    jacobian,
    vary,
)
from skfm_lib.utils.errors import SkfmError

SEEDS = range(60)
MIRROR = np.array([[-1], [1], [1]], np.float32)
SIDES = np.array(list(LANDMARKS.values()), np.float32).T
SIDES = np.stack([SIDES, MIRROR * SIDES])  # right and left (2, 3, n)
AT = {name: i for i, name in enumerate(LANDMARKS)}


def shell() -> np.ndarray:
    """Points (3, 600) about where bone is: an ellipsoid around braincase and jaws."""
    direction = np.random.default_rng(0).standard_normal((3, 600))
    direction /= np.linalg.norm(direction, axis=0)
    radii, centre = np.array([[68.0], [92], [110]]), np.array([[0.0], [0], [10]])
    return (centre + radii * direction).astype(np.float32)


@pytest.fixture(scope="module")
def fields() -> np.ndarray:
    """Displacement and thickening (60, 4, 600) of the individuals on the shell."""
    points, all_of = shell(), []
    for seed in SEEDS:
        moved, thickening = vary(seed, points)
        all_of.append(np.vstack([moved - points, thickening[None]]))
    return np.array(all_of)


def test_size(fields) -> None:
    """About DEVIATION of each component; across, the midline moves little."""
    x, y, z, thickening = fields.std(axis=0).mean(axis=1)
    assert [y, z] == pytest.approx([DEVIATION] * 2, rel=0.2)
    assert 0.5 * DEVIATION < x < DEVIATION
    assert thickening == pytest.approx(1, rel=0.15)
    assert np.abs(fields.mean(axis=0)).mean() < 3 * DEVIATION / np.sqrt(len(SEEDS))


def test_thickness_is_independent_of_shape(fields) -> None:
    shape, thickening = fields[:, 1:3], fields[:, 3:]
    together = (shape * thickening).mean() / (shape.std() * thickening.std())
    assert abs(together) < 0.1


def test_correlation_length() -> None:
    """Of a Gaussian of 30.7 mm: 0.59 at 31.5 mm, near 0 at 75 mm."""
    y = np.linspace(-75, 75, 101)
    line = np.stack([0 * y + 20, y, 0 * y + 45]).astype(np.float32)
    moved = np.array([(vary(seed, line)[0] - line)[2] for seed in range(100)])
    variance = (moved**2).mean()
    near, far = (
        (moved[:, :-lag] * moved[:, lag:]).mean() / variance for lag in (21, 50)
    )
    assert near == pytest.approx(0.59, abs=0.12)
    assert far < 0.25


def test_sides_go_mostly_together() -> None:
    """15 % of the variance differs between them, more far from the midline."""
    points = shell()
    points = points[:, points[0] > 20]
    apart, together = [], []
    for seed in SEEDS:
        right = vary(seed, points)[0] - points
        left = MIRROR * (vary(seed, MIRROR * points)[0] - MIRROR * points)
        apart.append(((right - left) ** 2).mean())
        together.append((((right + left) / 2) ** 2).mean())
    share = np.mean(apart) / 4 / (np.mean(apart) / 4 + np.mean(together))
    assert 0.1 < share < 0.22


def test_measures_and_frame_are_kept() -> None:
    """Within 0.4 mm, by which the lattice differs from the splines."""
    for seed in range(20):
        right, left = (vary(seed, side)[0] - side for side in SIDES)
        x, y, z = right - left
        assert np.abs(x[[AT["euryon"], AT["zygion"], AT["alare"]]]).max() < 0.8
        for side in (right, left):
            assert np.abs(side[1:, AT["porion"]]).max() < 0.4
            assert side[1, AT["glabella"]] == pytest.approx(
                side[1, AT["opisthocranion"]], abs=0.4
            )
            assert side[2, AT["nasion"]] == pytest.approx(
                side[2, AT["prosthion"]], abs=0.4
            )
        assert np.abs((right + left)[2, AT["orbitale"]]) < 0.4
        assert np.abs((right + left)[0, AT["porion"]]) < 0.4


def test_no_individual_is_folded() -> None:
    """The least determinant of 726 individuals measured 0.47."""
    axes = [np.arange(low + 8, high - 7, SPACING) for low, high in ENDS.T]
    points = np.stack(np.meshgrid(*axes, indexing="ij")).astype(np.float32)
    least = [jacobian(vary(seed, points)[0] - points).min() for seed in range(20)]
    assert 0.3 < min(least) < 1


def test_a_fold_is_one_line() -> None:
    x = np.zeros((3, 6, 6, 6))
    x[0] = -1.5 * SPACING * np.arange(6)[:, None, None]
    with pytest.raises(SkfmError, match="folds: Jacobian determinant -0.50; expected"):
        check_unfolded(x)
    check_unfolded(x / 2)


def test_many_modes() -> None:
    """At least 40 for 95 % of the variance; measured over 45, and 86 of 726 skulls."""
    points = shell()[:, ::3]
    heads = []
    for seed in range(160):
        head = points.copy()
        for _ in range(5):  # the individual's points on the template's
            head += points - to_template(seed, craniometry(seed), tuple(head))
        heads.append(head.ravel())
    variance = np.linalg.svd(heads - np.mean(heads, axis=0), compute_uv=False) ** 2
    assert (np.cumsum(variance) < 0.95 * variance.sum()).sum() + 1 >= 40
