"""The PointNet++ encoder against its definition, ball by ball."""

import math

import pytest
import torch
from torch.nn import functional as F

from skfm_lib.models.pointcloud import ball_query, farthest_points, random_poses, take
from skfm_lib.models.pointnet2 import (
    Neighbourhoods,
    PointNet2,
    SetAbstraction,
    largest,
    neighbourhoods,
)
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

SETTINGS = preset("tiny").aligner
PAPER = preset("paper").aligner


def cloud(b=2, n=256, seed=0):
    rng = torch.Generator().manual_seed(seed)
    points = torch.randn(b, n, 3, generator=rng)
    return 0.9 * points / points.norm(dim=-1, keepdim=True)


def weights(module):
    return sum(w.numel() for w in module.parameters())


def test_paper_sizes_are_the_published_ones():
    # Published with biases, which do nothing before a batch norm: one a width.
    network = PointNet2(PAPER)
    assert weights(network.near) == 36_288 - 672
    assert weights(network.far) == 217_792 - 1_280
    assert weights(network.everything) == 825_344 - 1_792
    assert weights(network.skip) == 320 * 1024 + 1024
    assert (network.near.width, network.far.width, network.width) == (320, 640, 1024)
    assert PointNet2(PAPER.but(skip="concat")).width == 1344


@pytest.mark.parametrize("shape", [(3, 7, 5), (2, 4, 9, 6), (2, 4, 1, 3)])
def test_the_largest_of_each_ball(shape):
    # All numbers differ, so that the gradient goes to one element.
    x = torch.randperm(math.prod(shape)).float().view(shape).requires_grad_()
    found, weight = largest(x), torch.rand(*shape[:-2], shape[-1])
    assert torch.equal(found, x.max(-2).values)
    (gradient,) = torch.autograd.grad((weight * found).sum(), x)
    (expected,) = torch.autograd.grad((weight * x.max(-2).values).sum(), x)
    assert torch.equal(gradient, expected)


def test_set_abstraction_is_its_definition():
    torch.manual_seed(0)
    layer, points = SetAbstraction(5, [[6, 7], [8, 9]]), cloud()
    features = torch.randn(2, 256, 5)
    index = farthest_points(points, 64)
    balls = ball_query(points, take(points, index), (0.2, 0.4), (3, 9))
    hood = Neighbourhoods(index, balls)
    centres, found = layer(points, features, hood)
    assert torch.equal(centres, take(points, index))
    parts = []
    for scale, ball in zip(layer.scales, hood.balls):
        near = take(points, ball) - centres[:, :, None]
        x = torch.cat([near, take(features, ball)], -1)
        first = torch.cat([scale.coordinates.weight, scale.lift.weight], 1)
        second = scale.layers[2].weight
        for weight in (first, second):
            x = x @ weight.T
            rows = x.flatten(0, -2)
            x = (x - rows.mean(0)) / (rows.var(0, unbiased=False) + 1e-5).sqrt()
            x = F.relu(x)
        parts.append(x.max(2).values)
    assert torch.allclose(found, torch.cat(parts, -1), atol=1e-4)


def test_neighbourhoods_are_those_of_the_centres():
    points = cloud()
    near, far = neighbourhoods(points, SETTINGS)
    assert near.centres.shape == (2, 64) and far.centres.shape == (2, 16)
    middle = take(points, near.centres)
    assert torch.equal(far.centres, farthest_points(middle, 16))
    balls = ball_query(middle, take(middle, far.centres), (0.2, 0.4, 0.8), (8, 16, 32))
    assert all(torch.equal(a, b) for a, b in zip(far.balls, balls))


def test_neighbourhoods_serve_every_rigid_motion():
    points = cloud()
    rotation, translation = random_poses(2, 180.0, 1.0, seed=1)
    moved = points @ rotation.mT + translation[:, None]
    for still, turned in zip(
        neighbourhoods(points, SETTINGS), neighbourhoods(moved, SETTINGS)
    ):
        assert torch.equal(still.centres, turned.centres)
        for a, b in zip(still.balls, turned.balls):
            assert (a == b).float().mean() > 0.999  # rounding at a ball's rim


@pytest.mark.parametrize("skip", ["add", "concat"])
def test_every_weight_of_the_encoder_learns(skip):
    torch.manual_seed(0)
    settings = SETTINGS.but(skip=skip, centres=(200, 30))  # no ball of one point
    network, points = PointNet2(settings), cloud(b=4)
    out = network(points, neighbourhoods(points, settings))
    assert out.shape == (4, network.width)
    (out * torch.randn_like(out)).sum().backward()
    assert all(w.grad is not None and w.grad.any() for w in network.parameters())


def test_too_few_points_are_reported():
    with pytest.raises(SkfmError, match="at least 64"):
        neighbourhoods(cloud(n=50), SETTINGS)
