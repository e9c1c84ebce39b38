"""Latents drawn from the linear shape model."""

import math

import pytest
import torch

from skfm_lib.models.linear_shape import LinearShapeModel, hats

SHAPE, SIZE, K = (2, 1, 2, 3), 12, 3


@pytest.fixture
def model():
    """A model with random means, orthonormal components, and knots at 0, 10 and 20."""
    rng = torch.Generator().manual_seed(0)
    made = LinearShapeModel(SIZE, K, knots=3)
    made.means.copy_(torch.randn(5, SIZE, generator=rng))
    made.knots.copy_(torch.tensor([0.0, 10.0, 20.0]))
    made.slopes.copy_(torch.randn(6, SIZE, generator=rng))
    basis, _ = torch.linalg.qr(torch.randn(SIZE, K, generator=rng))
    made.components.copy_(basis.T)
    made.variances.copy_(torch.tensor([9.0, 4.0, 1.0]))
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


def test_draws_have_the_mean_and_the_covariance_of_the_model(model):
    n = 200_000
    eps = torch.randn(n, *SHAPE, generator=torch.Generator().manual_seed(1))
    quality, seen = torch.full((n,), 4), torch.tensor([[3.0, 17.0]]).expand(n, 2)
    x = model.draw(eps, quality, seen).flatten(1).double()
    u = model.components.double()
    beside = torch.eye(SIZE) - u.T @ u
    root = model.rest.double().sqrt()
    sigma = u.T @ torch.diag(model.variances.double()) @ u
    sigma = sigma + root[:, None] * beside * root
    mean = model.mean(quality[:1], seen[:1]).double()
    # Three standard errors of the largest entries.
    error = 3 * 9 * math.sqrt(2 / n)
    assert (x.mean(0) - mean).abs().max() < 3 * math.sqrt(9 / n)
    # Components and rest are drawn from one noise, but orthogonal parts of it.
    found = torch.cov(x.T)
    inner = u @ found @ u.T
    assert (inner - torch.diag(model.variances.double())).abs().max() < 0.4
    assert (found.trace() - sigma.trace()).abs() < SIZE * error


def test_without_knots_the_mean_is_that_of_the_score(model):
    plain = LinearShapeModel(SIZE, K)
    plain.means.copy_(model.means)
    drawn = plain.draw(torch.zeros(5, *SHAPE), torch.tensor([2, 3, 4, 5, 6]))
    assert torch.equal(drawn.flatten(1), model.means)
