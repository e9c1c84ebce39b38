"""Modes of shape: of a known population, and of the phantoms."""

import numpy as np
import pytest

from skfm_lib.data.registration.shape_model import template_surface
from skfm_lib.evaluation.population.shape_modes import corresponding_points, shape_modes

PEOPLE = 80


@pytest.fixture(scope="module")
def people():
    return corresponding_points(range(PEOPLE), 300)


def deviation(modes):
    """Root mean square distance of a point from its mean position."""
    return np.sqrt(modes.variances.sum())


def test_modes_of_a_known_population():
    rng = np.random.default_rng(0)
    deviations = np.array([8.0, 4.0, 2.0])
    modes = np.linalg.qr(rng.standard_normal((60, 3)))[0].T * np.sqrt(20)
    scores = rng.standard_normal((2000, 3)) * deviations
    found = shape_modes((scores @ modes).reshape(-1, 20, 3))
    assert np.sqrt(found.variances[:3]) == pytest.approx(deviations, rel=0.05)
    assert found.needed(0.9) == 2 and found.needed(0.96) == 3 == found.needed(1 - 1e-6)
    assert found.held(1) == pytest.approx(64 / 84, abs=0.02)
    assert found.participation == pytest.approx(84**2 / (64**2 + 16**2 + 16), rel=0.05)
    assert deviation(found) == pytest.approx(np.sqrt(84), rel=0.05)


def test_size_is_removed():
    shape = np.random.default_rng(0).standard_normal((1, 30, 3))
    sizes = np.linspace(0.8, 1.2, 9)[:, None, None]
    assert deviation(shape_modes(shape * sizes)) > 0.1
    assert deviation(shape_modes(shape * sizes + 5 * sizes, sized=False)) < 1e-6


def test_phantoms_correspond_and_vary_in_many_modes(people):
    template = template_surface()[0][:, :300].T
    apart = np.linalg.norm(people.mean(axis=0) - template, axis=1)
    assert people.shape == (PEOPLE, 300, 3) and apart.max() < 30
    found = shape_modes(people)
    # Of 726 it is 90, of eighty fewer; the former population had 9 of either.
    assert found.needed(0.95) >= 36
    assert 3 < deviation(found) < 7
