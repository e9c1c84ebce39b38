"""Cuts and halos."""

import pytest
import torch

from skfm_lib.models.ops.tiling import cuts, with_halo


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("slab", [1, 200, 1 << 24])
def test_cuts_cover_the_map_once(depth, slab, resize):
    resize(slab=slab)
    found = cuts(torch.zeros(1, 2, depth, 3, 4))
    assert [i for part in found for i in range(depth)[part]] == list(range(depth))
    assert min(part.stop - part.start for part in found) >= min(2, depth)


def test_halos_hold_the_neighbours_and_zeros_outside(resize):
    resize(slab=1)
    x = torch.randn(1, 2, 7, 3, 4)
    padded = torch.nn.functional.pad(2 * x, (0, 0, 0, 0, 1, 1))
    for part, block in with_halo(x.clone(), lambda piece: 2 * piece):
        assert torch.equal(block, padded[:, :, part.start : part.stop + 2])


def test_a_slab_may_be_overwritten_once_given(resize):
    resize(slab=1)
    x = torch.randn(1, 2, 9, 3, 4)
    want = [block for _, block in with_halo(x)]
    for (part, block), right in zip(with_halo(x), want):
        x[:, :, part] = torch.nan
        assert torch.equal(block, right)


def test_every_plane_is_transformed_once(resize):
    resize(slab=1)
    seen = []
    x = torch.arange(7.0).view(1, 1, 7, 1, 1)
    for _ in with_halo(x, lambda part: seen.extend(part.flatten().tolist()) or part):
        pass
    assert seen == list(range(7))
