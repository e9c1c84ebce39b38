"""The plain networks that ours are measured against are the same networks."""

import pytest
import torch
from torch import nn

from skfm_lib.benchmarks import pointcloud_cases, reference_networks
from skfm_lib.models import Aligner, PointAttN
from skfm_lib.models.pointattn import Attention
from skfm_lib.models.pointcloud import ball_query, chamfer_loss, farthest_points
from skfm_lib.presets import preset
from skfm_lib.utils.device import Device

CPU = Device(torch.device("cpu"), torch.float32)
ALIGNER, COMPLETER = preset("tiny").aligner, preset("tiny").completer


def give(source, target, bias=True):
    """Copy a linear layer's weights to a convolution, or to another linear layer."""
    with torch.no_grad():
        target.weight.copy_(source.weight.view_as(target.weight))
        if bias:
            target.bias.copy_(source.bias)


def give_all(source, target):
    """The same for all layers of two stacks that have weights."""
    pairs = [[m for m in stack if list(m.parameters())] for stack in (source, target)]
    for a, b in zip(*pairs, strict=True):
        give(a, b)


def give_mlp(ours, theirs):
    """A shared MLP to convolutions and batch norms."""
    first = [m.weight for m in (ours.coordinates, ours.lift) if m is not None]
    with torch.no_grad():
        theirs[0].weight.copy_(torch.cat(first, 1)[..., None, None])
    for a, b in zip(ours.layers, theirs[1:-1], strict=True):  # but the last ReLU
        if isinstance(a, nn.Linear):
            give(a, b, bias=False)
        elif isinstance(a, nn.BatchNorm1d):
            b.load_state_dict(a.state_dict())


def give_attention(ours, theirs):
    give(ours.project, theirs.project), give(ours.to_out, theirs.attend.out_proj)
    for name in ("norm", "second_norm", "feed"):
        getattr(theirs, name).load_state_dict(getattr(ours, name).state_dict())
    with torch.no_grad():
        for kind in ("weight", "bias"):
            parts = [getattr(layer, kind) for layer in (ours.to_q, ours.to_kv)]
            getattr(theirs.attend, f"in_proj_{kind}").copy_(torch.cat(parts))


def aligners():
    torch.manual_seed(0)
    ours, theirs = Aligner(ALIGNER), reference_networks.PlainAligner(ALIGNER)
    for name in ("turn", "finer_turn", "shift"):
        nn.init.normal_(getattr(ours, name)[-1].weight, std=0.1)
        getattr(theirs, name).load_state_dict(getattr(ours, name).state_dict())
    for name in ("coarse", "fine"):
        a, b = getattr(ours, name), getattr(theirs, name)
        give(a.skip, b.skip), give_mlp(a.everything, b.everything.scales[0])
        for level in ("near", "far"):
            scales = getattr(a, level).scales, getattr(b, level).scales
            for pair in zip(*scales, strict=True):
                give_mlp(*pair)
    return ours, theirs


def completers():
    torch.manual_seed(0)
    ours, theirs = PointAttN(COMPLETER), reference_networks.PlainPointAttN(COMPLETER)
    give_all(ours.embed, theirs.embed)
    for down, gather, among in zip(ours.down, theirs.gather, theirs.among):
        give_attention(down.gather, gather), give_attention(down.among, among)
    for name in ("adjust", "spread", "widen"):
        give(getattr(ours.seeds, name), getattr(theirs, name))
    give_all(ours.seeds.to_points, theirs.to_points)
    for a, b in zip(ours.seeds.among, theirs.seeding):
        give_attention(a, b)
    for a, b in zip(ours.refine, theirs.refine):
        nn.init.normal_(a.offset[-1].weight, std=0.1)
        give_all(a.coordinates, b.coordinates), give_all(a.feature, b.feature)
        give_all(a.offset, b.offset)
        for attention in zip(a.among, b.among):
            give_attention(*attention)
        give(a.expand, b.expand), give(a.join, b.join)
    return ours, theirs


def test_the_operations_are_the_same():
    points = torch.randn(2, 100, 3)
    assert torch.equal(
        reference_networks.farthest(points, 20), farthest_points(points, 20)
    )
    (ball,) = ball_query(points, points[:, :9], [0.8], [16])
    assert torch.equal(reference_networks.balls(points, points[:, :9], 0.8, 16), ball)
    pair = points, torch.randn(2, 70, 3)
    assert torch.allclose(reference_networks.chamfer(*pair), chamfer_loss(*pair))


def test_the_aligners_are_the_same():
    ours, theirs = aligners()
    points = pointcloud_cases.clouds(3, ALIGNER.points)
    for model in (ours, theirs):
        model.train()
    assert torch.allclose(theirs(points), ours(points)[0], atol=0.02)
    sizes = [sum(w.numel() for w in m.parameters()) for m in (ours, theirs)]
    assert sizes[0] == sizes[1]


def test_the_completers_are_the_same():
    ours, theirs = completers()
    points = pointcloud_cases.clouds(2, COMPLETER.points)
    for a, b in zip(ours(points), theirs(points), strict=True):
        assert a.shape == b.shape and torch.allclose(a, b, atol=0.02)
    sizes = [sum(w.numel() for w in m.parameters()) for m in (ours, theirs)]
    assert sizes[0] == sizes[1]
    assert any(isinstance(m, Attention) for m in ours.modules())


@pytest.mark.parametrize(
    "cases", [pointcloud_cases.aligner_steps, pointcloud_cases.completer_steps]
)
def test_every_case_makes_a_step(cases, monkeypatch):
    monkeypatch.setattr(pointcloud_cases, "PAPER", preset("tiny"))
    monkeypatch.setattr(pointcloud_cases, "pick_device", lambda: CPU)
    for case in cases(0.1):
        step = case.setup()
        step(), step()


def test_clouds_are_a_skull_in_millimetres():
    points = pointcloud_cases.clouds(2, 500)
    extent = points.amax((0, 1)) - points.amin((0, 1))
    assert points.shape == (2, 500, 3) and points.dtype == torch.float32
    assert ((extent > 100) & (extent < 260)).all()
    assert not torch.equal(points[0], points[1])
