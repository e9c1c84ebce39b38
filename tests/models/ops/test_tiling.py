"""Cuts and halos."""

import pytest
import torch
from torch.nn import functional as F

from skfm_lib.models.ops.tiling import cuts, with_halo


@pytest.mark.parametrize("depth", [1, 2, 3, 5, 8, 13])
@pytest.mark.parametrize("slab", [1, 200, 1 << 24])
def test_cuts_cover_the_map_once(depth, slab, resize):
    resize(slab=slab)
    found = cuts(torch.zeros(1, 2, depth, 3, 4))
    assert [i for part in found for i in range(depth)[part]] == list(range(depth))
    assert min(part.stop - part.start for part in found) >= min(2, depth)


@pytest.mark.parametrize("outside", [1, 2])
@pytest.mark.parametrize("padding", ["replicate", "zeros"])
@pytest.mark.parametrize("depth", [1, 2, 7])
def test_halos_hold_the_neighbours_and_padding_outside(depth, padding, outside, resize):
    resize(slab=1)
    x = torch.randn(1, 2, depth, 3, 4)
    mode = "constant" if padding == "zeros" else padding
    padded = F.pad(2 * x, (outside,) * 6, mode=mode)
    blocks = list(with_halo(x.clone(), lambda piece: 2 * piece, padding, outside))
    assert len(blocks) == max(1, depth // 2)
    for part, block in blocks:
        start = 0 if part.start == 0 else part.start - 1 + outside
        stop = None if part.stop == depth else part.stop + 1 + outside
        assert torch.equal(block, padded[:, :, start:stop])


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
