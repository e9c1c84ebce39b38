"""Copies of the border, and how gradients come back from them."""

import pytest
import torch
from torch.nn import functional as F

from skfm_lib.models.ops.padding import folded, replicate


@pytest.mark.parametrize("size", [(1, 1, 2), (1, 2, 5), (4, 3, 6)])
@pytest.mark.parametrize(
    "layout", [torch.contiguous_format, torch.channels_last_3d], ids=["first", "last"]
)
def test_equals_pytorchs_padding(size, layout):
    x = torch.randn(2, 3, *size, dtype=torch.double).to(memory_format=layout)
    x.requires_grad_()
    got, want = replicate(x), F.pad(x, (1,) * 6, mode="replicate")
    assert torch.equal(got, want) and got.is_contiguous(memory_format=layout)
    weight = torch.randn_like(want)
    before = weight.clone()
    (of_got,) = torch.autograd.grad(got, x, weight)
    (of_want,) = torch.autograd.grad(want, x, weight)
    assert torch.allclose(of_got, of_want) and torch.equal(weight, before)


@pytest.mark.parametrize("first", [False, True])
@pytest.mark.parametrize("last", [False, True])
def test_a_slab_is_folded_at_the_ends_of_the_map_only(first, last):
    grad = torch.ones(1, 1, 4, 3, 3)
    found = folded(grad, first, last)
    along = [1.0 + (i == 0 and first) for i in range(4 - first - last)]
    along[-1] += last
    assert found.shape[2:] == (len(along), 1, 1)
    assert (found.flatten() / 9).tolist() == along
