"""The Fréchet distance against MONAI, closed forms and definitions."""

import numpy as np
import pytest
import torch
from monai.metrics.fid import get_fid_score
from scipy.linalg import sqrtm

from skfm_lib.metrics import frechet_distance, kernel_distance
from skfm_lib.utils.errors import SkfmError


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def by_matrix_root(a, b):
    cov_a, cov_b = np.cov(a.T), np.cov(b.T)
    gap = a.mean(axis=0) - b.mean(axis=0)
    root = np.real(sqrtm(cov_a @ cov_b))
    return gap @ gap + np.trace(cov_a + cov_b - 2 * root)


@pytest.mark.parametrize("n, m", [(60, 60), (60, 45), (400, 21)])
def test_equals_the_matrix_root_where_that_exists(rng, n, m):
    a = rng.normal(size=(n, 20)) @ rng.normal(size=(20, 20))
    b = rng.normal(size=(m, 20)) + 1
    assert frechet_distance(a, b) == pytest.approx(by_matrix_root(a, b), rel=1e-8)


@pytest.mark.filterwarnings("ignore:The `disp` argument:DeprecationWarning")
@pytest.mark.parametrize("n, m, d", [(300, 300, 64), (500, 260, 128)])
def test_equals_monai_at_full_rank(rng, n, m, d):
    a = rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    b = 1.2 * rng.normal(size=(m, d)) @ rng.normal(size=(d, d)) + 0.1
    expected = get_fid_score(torch.from_numpy(a), torch.from_numpy(b)).item()
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-6)


def test_closed_form_of_commuting_gaussians(rng):
    white = rng.normal(size=(500, 6))
    unmix = np.linalg.inv(np.linalg.cholesky(np.cov(white.T)))
    white = (white - white.mean(axis=0)) @ unmix.T
    stretch, shift = np.array([1, 2, 3, 4, 5, 6.0]), np.full(6, 0.5)
    expected = shift @ shift + np.sum((stretch - 1) ** 2)
    assert frechet_distance(white, white * stretch + shift) == pytest.approx(expected)


def test_zero_on_itself_symmetric_and_exact_below_full_rank(rng):
    a, b = rng.normal(size=(30, 200)), rng.normal(size=(25, 200))
    with pytest.warns(UserWarning, match="30 samples for 200 features"):
        assert frechet_distance(a, a[::-1]) == pytest.approx(0, abs=1e-9)
    with pytest.warns(UserWarning, match="25 samples"):
        assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a))
    with pytest.warns(UserWarning):  # singular covariances: a shift still counts
        assert frechet_distance(a, a + 1e-3) == pytest.approx(200e-6, rel=1e-6)


def test_tiny_features_are_not_drowned(rng):
    a, b = rng.normal(size=(80, 10)), rng.normal(size=(80, 10)) * 1.1
    small = frechet_distance(a * 1e-4, b * 1e-4)
    assert small == pytest.approx(frechet_distance(a, b) * 1e-8, rel=1e-9)


def test_grows_with_noise(rng):
    a = rng.normal(size=(200, 8))
    noise = rng.normal(size=a.shape)
    scores = [frechet_distance(a, a + s * noise) for s in (0.1, 0.5, 1)]
    assert scores == sorted(scores) and scores[0] > 0


@pytest.mark.parametrize(
    "a, message",
    [
        (np.ones((1, 4)), r"shape \(1, 4\)"),
        (np.ones(4), r"shape \(4,\)"),
        (np.full((5, 4), np.nan), "row 0 holds NaN"),
        (np.array([[0.0] * 4, [np.inf] * 4]), "row 1 holds NaN or infinity"),
        (np.ones((5, 3)), "3 features and b 4"),
    ],
)
@pytest.mark.parametrize("distance", [frechet_distance, kernel_distance])
def test_bad_features_are_named(distance, a, message):
    with pytest.raises(SkfmError, match=message):
        distance(a, np.ones((5, 4)))
