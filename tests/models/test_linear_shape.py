"""Latents drawn from the linear shape model."""

import math

import pytest
import torch

from skfm_lib.models.linear_shape import LinearShapeModel, hats, presence

SHAPE, SIZE, K = (2, 1, 2, 3), 12, 3


@pytest.fixture
def model():
    """A model with random means and components, and knots at 0, 10 and 20."""
    rng = torch.Generator().manual_seed(0)
    made = LinearShapeModel(SIZE, K, knots=3)
    made.means.copy_(torch.randn(5, SIZE, generator=rng))
    made.knots.copy_(torch.tensor([0.0, 10.0, 20.0]))
    made.slopes.copy_(torch.randn(6, SIZE, generator=rng))
    made.components.copy_(torch.randn(K, SIZE, generator=rng))
    made.rest.copy_(torch.rand(SIZE, generator=rng))
    return made


def test_the_mean_is_linear_between_the_knots(model):
    seen = torch.tensor([[5.0, 20.0], [-30.0, 12.5]])
    found = model.mean(torch.tensor([2, 6]), seen)
    s, mu = model.slopes, model.means
    assert torch.allclose(found[0], mu[0] + (s[0] + s[1]) / 2 + s[5], atol=1e-6)
    end = 0.75 * s[4] + 0.25 * s[5]
    assert torch.allclose(found[1], mu[4] + s[0] + end, atol=1e-6)


def test_weights_of_both_heights_sum_to_one():
    seen = torch.linspace(-5, 25, 31).repeat(2, 1).T
    weights = hats(seen, torch.tensor([0.0, 10.0, 20.0])).view(31, 2, 3)
    assert torch.allclose(weights.sum(2), torch.ones(31, 2))


def test_a_slice_is_present_by_its_share_of_the_scan():
    """Of slices from 0 to 20 in thirds; heights beyond are no more than all of it."""
    seen = torch.tensor([[0.0, 20.0], [-50.0, 10.0], [10.0, 12.0], [30.0, 40.0]])
    found = presence(seen, torch.tensor([0.0, 10.0, 20.0]))
    known = [[1, 1, 1], [1, 0.5, 0], [0, 0.3, 0], [0, 0, 0]]
    assert torch.allclose(found, torch.tensor(known).float(), atol=1e-6)


def test_draws_have_the_mean_and_the_covariance_of_the_model(model):
    n, rng = 200_000, torch.Generator().manual_seed(1)
    c, eps = torch.randn(n, K, generator=rng), torch.randn(n, *SHAPE, generator=rng)
    quality, seen = torch.full((n,), 4), torch.tensor([[3.0, 17.0]]).expand(n, 2)
    x = model.draw(c, eps, quality, seen).flatten(1).double()
    p = presence(seen[:1], model.knots).expand(SIZE // 3, 3).flatten().double()
    assert 0.5 < p.min() < 0.6 and p.max() > 0.99
    w = model.components.double()
    sigma = p[:, None] * (w.T @ w + torch.diag(model.rest.double())) * p
    mean, largest = model.mean(quality[:1], seen[:1]).double(), sigma.diag().max()
    # Four standard errors.
    assert (x.mean(0) - mean).abs().max() < 4 * (largest / n).sqrt()
    assert (torch.cov(x.T) - sigma).abs().max() < 4 * largest * math.sqrt(2 / n)


def test_without_knots_the_mean_is_that_of_the_score(model):
    plain = LinearShapeModel(SIZE, K)
    plain.means.copy_(model.means)
    plain.components.copy_(model.components)
    scores = torch.tensor([2, 3, 4, 5, 6])
    drawn = plain.draw(torch.zeros(5, K), torch.zeros(5, *SHAPE), scores)
    assert torch.equal(drawn.flatten(1), model.means)
    drawn = plain.draw(torch.eye(K), torch.zeros(K, *SHAPE), scores[:K])
    assert torch.allclose(drawn.flatten(1), model.means[:K] + model.components)
