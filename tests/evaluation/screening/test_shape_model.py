"""The shape model against its closed form; nearest neighbours by hand."""

import numpy as np
import pytest

from skfm_lib.evaluation.screening import reference_ranges
from skfm_lib.evaluation.screening.reference_ranges import (
    ShapeModel,
    distance_to_nearest,
)


@pytest.fixture(scope="module")
def skulls():
    """60 'skulls' of 8 blocks, of two scores with means of their own."""
    rng = np.random.default_rng(0)
    scores = np.array([2] * 40 + [5] * 20)
    spread = rng.normal(size=(8, 8)) * np.linspace(2, 0.2, 8)
    blocks = rng.normal(size=(60, 8)) @ spread + (scores == 5)[:, None] * 3.0
    return blocks.astype(np.float32), scores


def test_misfit_is_the_likelihood_of_probabilistic_pca(skulls, monkeypatch):
    monkeypatch.setattr(reference_ranges, "MODES", 3)
    blocks, scores = skulls
    model = ShapeModel(blocks, scores)
    rest = blocks.astype(float)
    for score in (2, 5):
        rest[scores == score] -= rest[scores == score].mean(axis=0)
    values, vectors = np.linalg.eigh(rest.T @ rest / len(rest))
    noise = values[:-3].mean()  # Tipping & Bishop 1999, eq. 8
    kept = vectors[:, -3:]
    covariance = kept @ np.diag(values[-3:] - noise) @ kept.T + noise * np.eye(8)
    squares = np.einsum("ij,jk,ik->i", rest, np.linalg.inv(covariance), rest)
    expected = np.sqrt(squares / 8)
    assert model.noise == pytest.approx(noise, rel=1e-4)
    assert np.allclose(model.misfit(blocks, scores), expected, rtol=1e-3)


def test_misfit_depends_on_the_score_and_grows_away_from_the_mean(skulls):
    blocks, scores = skulls
    model = ShapeModel(blocks, scores)
    mean = model.means[:1]
    assert model.misfit(mean, np.array([2]))[0] == pytest.approx(0, abs=1e-3)
    assert model.misfit(mean, np.array([5]))[0] > 0.1
    far = [model.misfit(mean + step, np.array([2]))[0] for step in (0.5, 1.0, 2.0)]
    assert far == sorted(far) and far[0] > 0


def test_the_nearest_of_others():
    training = np.array([[1, 1, 0, 0], [0, 1, 1, 0], [0, 0, 0, 1]], np.float32)
    found = distance_to_nearest(training[:1], training)
    assert found == pytest.approx([0], abs=1e-6)
    own = distance_to_nearest(training, training, own=True)
    assert own == pytest.approx([0.5, 0.5, 1.0])
    nothing = distance_to_nearest(np.zeros((1, 4), np.float32), training)
    assert nothing == pytest.approx([1.0])
