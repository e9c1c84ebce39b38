"""PointAttN: its published size, its attention, and what it is given and gives."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from skfm_lib.models import PointAttN
from skfm_lib.models.pointattn import Attention, Refine, attend
from skfm_lib.models.pointcloud import nearest
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

SETTINGS = preset("tiny").completer
PAPER = preset("paper").completer


def clouds(b=2, n=SETTINGS.points, seed=0):
    rng = torch.Generator().manual_seed(seed)
    points = torch.randn(b, n, 3, generator=rng)
    return 80 * points / points.norm(dim=-1, keepdim=True)


def weights(module):
    return sum(w.numel() for w in module.parameters())


@pytest.mark.parametrize("ratios, published", [((4, 8), 36.66e6), ((1, 4), 29.20e6)])
def test_sizes_are_the_published_ones(ratios, published):
    # The published spreading of seeds has one bias a channel, here one a number.
    network = PointAttN(PAPER.but(points=2048, ratios=ratios))
    assert weights(network) - 127 * 64 == pytest.approx(published, abs=5e3)


@pytest.mark.parametrize("ratio, published", [(4, 7.44e6), (8, 12.69e6)])
def test_refinements_have_the_published_size(ratio, published):
    assert weights(Refine(64, ratio, 1024)) == pytest.approx(published, abs=5e3)


def test_attention_is_pytorch_s():
    torch.manual_seed(0)
    layer, x, others = (
        Attention(6, 8, 16), torch.randn(2, 5, 6), torch.randn(2, 9, 6)
    )  # fmt: skip
    reference = nn.MultiheadAttention(8, 4, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(
            torch.cat([layer.to_q.weight, layer.to_kv.weight])
        )
        reference.in_proj_bias.copy_(torch.cat([layer.to_q.bias, layer.to_kv.bias]))
    reference.out_proj = layer.to_out
    q, k = (F.layer_norm(layer.project(c), (8,)) for c in (x, others))
    h = F.layer_norm(q + reference(q, k, k)[0], (8,))
    assert torch.allclose(layer(x, others), h + layer.feed(h), atol=1e-5)
    assert torch.equal(layer(x), layer(x, x))


def test_both_ways_to_attend_agree():
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 4, n, 16).bfloat16() for n in (30, 50, 50))
    plain, fused = attend(q, k, v), attend(q.float(), k.float(), v.float())
    assert plain.dtype == torch.bfloat16
    assert torch.allclose(plain.float(), fused, atol=0.02)


@pytest.mark.parametrize("autocast", [False, True])
def test_outputs_are_float32_millimetres(autocast):
    torch.manual_seed(0)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=autocast):
        outputs = PointAttN(SETTINGS)(clouds())
    assert [o.shape for o in outputs] == [(2, n, 3) for n in SETTINGS.outputs]
    assert all(o.dtype == torch.float32 for o in outputs)


@torch.no_grad()
def test_refinement_begins_with_the_points_there_are():
    torch.manual_seed(0)
    points = clouds()
    coarse, fine1, fine2 = PointAttN(SETTINGS)(points)
    assert torch.equal(fine2, fine1.repeat_interleave(4, 1))
    start = fine1[:, ::4]
    gap, _ = nearest(start, torch.cat([points, coarse], 1))
    assert gap.max() < 1e-3


@torch.no_grad()
def test_the_order_of_points_does_not_matter():
    torch.manual_seed(0)
    model, points = PointAttN(SETTINGS), clouds()
    shuffled = model(points[:, torch.randperm(points.shape[1])])
    for a, b in zip(model(points), shuffled):
        assert torch.allclose(a, b, atol=0.01)


def test_every_weight_learns():
    torch.manual_seed(0)
    model = PointAttN(SETTINGS)
    for refine in model.refine:
        nn.init.normal_(refine.offset[-1].weight)
    sum((o * torch.randn_like(o)).sum() for o in model(clouds())).backward()
    assert all(w.grad.any() for w in model.parameters())


@pytest.mark.parametrize(
    "points, message",
    [
        (clouds(n=0), "0 points"),
        (clouds(n=100), "100 points a cloud.*at least 256"),
        (clouds(n=300), "300 points a cloud.*256, as the network was made for"),
        (clouds() * torch.nan, "NaN"),
        (clouds(n=16).repeat(1, 16, 1), "fewer than 64 different points"),
    ],
)
def test_bad_clouds_are_named(points, message):
    with pytest.raises(SkfmError, match=message):
        PointAttN(SETTINGS)(points)


def test_duplicates_that_fill_up_a_cloud_are_welcome():
    points = clouds(n=128).repeat(1, 2, 1)
    assert PointAttN(SETTINGS)(points)[0].shape == (2, 32, 3)
