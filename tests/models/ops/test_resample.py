"""Resampling by matrix products, against PyTorch's own."""

import pytest
import torch
from torch.nn import functional as F

from skfm_lib.models.ops.resample import (
    by_products,
    linear_weights,
    mean_weights,
    pool,
    resample,
)
from skfm_lib.utils.device import planned

SHAPES = [((7, 5, 9), (9, 6, 11)), ((7, 5, 9), (6, 4, 7)), ((4, 4, 4), (4, 4, 4))]


@pytest.mark.parametrize(("before", "after"), SHAPES)
@pytest.mark.parametrize("channels", [1, 3])
def test_equals_interpolation_and_its_gradient(before, after, channels):
    v = torch.randn(2, channels, *before, dtype=torch.double)
    v = v.to(memory_format=torch.channels_last_3d).requires_grad_()
    weight = torch.randn(2, channels, *after, dtype=torch.double)
    found = by_products(v, after, linear_weights)
    wanted = F.interpolate(v, after, mode="trilinear")
    assert torch.allclose(found, wanted, atol=1e-12)
    gradients = [torch.autograd.grad(x, v, weight)[0] for x in (found, wanted)]
    assert torch.allclose(*gradients, atol=1e-12)


def test_a_gpu_resamples_by_products_in_float32():
    v = torch.randn(1, 1, 7, 5, 9)
    with planned(1 << 30), torch.autocast("cpu", torch.bfloat16):
        found = resample(v, (9, 6, 11))
    assert found.dtype == torch.float32
    assert torch.equal(found, by_products(v, (9, 6, 11), linear_weights))


@pytest.mark.parametrize("shape", [(4, 3, 8), (7, 1, 2), (1, 1, 1)])
def test_means_equal_adaptive_pooling_and_its_gradient(shape):
    v = torch.randn(2, 3, 7, 5, 9, dtype=torch.double, requires_grad=True)
    weight = torch.randn(2, 3, *shape, dtype=torch.double)
    found, wanted = by_products(v, shape, mean_weights), pool(v, shape)
    assert torch.allclose(found, wanted, atol=1e-12)
    gradients = [torch.autograd.grad(x, v, weight)[0] for x in (found, wanted)]
    assert torch.allclose(*gradients, atol=1e-12)
