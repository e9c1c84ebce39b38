"""From an individual to the template: measures of landmarks, and residual pose."""

import numpy as np
import pytest

from skfm_lib.data.phantom.craniometry import craniometry
from skfm_lib.data.phantom.template import (
    LENGTH,
    RESIDUAL,
    individual,
    pose,
    to_template,
    upright,
)
from skfm_lib.data.phantom.variation import LANDMARKS


def landmarks(seed: int) -> dict[str, np.ndarray]:
    """The template's landmarks, right side, on individual `seed`, mm."""
    template = np.array(list(LANDMARKS.values()), np.float32).T
    head = template.copy()
    for _ in range(10):
        head += template - to_template(seed, craniometry(seed), tuple(head))
    return dict(zip(LANDMARKS, head.T))


@pytest.mark.parametrize("seed", range(6))
def test_measures_are_those_of_the_individual(seed) -> None:
    """Of landmarks where the template has them; the lattice costs 0.5 mm."""
    at, who = landmarks(seed), craniometry(seed)
    length = at["glabella"][1] - at["opisthocranion"][1]
    assert length * LENGTH / 193.5 == pytest.approx(who.length, abs=1.5)
    face = at["nasion"][2] - at["prosthion"][2]
    assert face * 67 / 65 == pytest.approx(who.face_height, abs=1.0)
    assert np.linalg.norm(at["basion"] - at["bregma"]) == pytest.approx(
        who.height, abs=3.0
    )


def test_thickening_comes_with_the_points() -> None:
    head = tuple(np.random.default_rng(0).uniform(-60, 60, (3, 4, 5, 6)))
    at = individual(3, craniometry(3), head)
    assert at.points.shape == (3, 4, 5, 6) and at.thickening.shape == (4, 5, 6)
    assert (at.points == to_template(3, craniometry(3), head)).all()


def test_residual_pose() -> None:
    """RESIDUAL per axis but for clipping at 2 deviations, 2° and 2 mm in all."""
    turns, shifts = zip(*map(pose, range(400)))
    angle = np.rad2deg(np.arccos((np.trace(turns, axis1=1, axis2=2) - 1) / 2))
    assert np.sqrt((angle**2).mean()) == pytest.approx(2, rel=0.15)
    assert np.sqrt((np.square(shifts)).sum(axis=1).mean()) == pytest.approx(2, rel=0.15)
    assert np.abs(shifts).max() <= 2 * RESIDUAL + 1e-6


def test_pose_is_undone() -> None:
    rotation, shift = pose(5)
    axes = tuple(np.linspace(-50, 50, 3).astype(np.float32) for _ in range(3))
    head = np.stack(upright(5, axes)).reshape(3, -1)
    y, x, z = np.meshgrid(axes[1], axes[0], axes[2], indexing="ij")
    scan = np.stack([x, y, z]).reshape(3, -1)
    assert np.allclose((rotation @ head).T + shift, scan.T, atol=1e-3)
