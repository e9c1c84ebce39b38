"""Neighbours against brute force, by the algorithms of a CPU and of a GPU."""

import pytest
import torch

from skfm_lib.models.pointcloud import ball_query, nearest, neighbours, take
from skfm_lib.utils.device import planned
from skfm_lib.utils.errors import SkfmError

RADII, COUNTS = (20.0, 45.0), (4, 32)


def clouds(b=3, n=150, seed=0):
    rng = torch.Generator().manual_seed(seed)
    return torch.randn(b, n, 3, generator=rng) * 40


def brute_balls(points, centres, radius, count):
    """The first `count` indices within the radius, filled up with the first."""
    balls = []
    for cloud, some in zip(points.double(), centres.double()):
        for centre in some:
            near = (cloud - centre).norm(dim=1) <= radius
            found = near.nonzero().flatten().tolist()[:count]
            balls.append(found + [found[0]] * (count - len(found)))
    return torch.tensor(balls).view(len(points), -1, count)


@pytest.mark.parametrize("query", [ball_query, neighbours._balls_of_tables])
@pytest.mark.parametrize("rows", [10**9, 1000, 1])
def test_balls_equal_brute_force(query, rows, monkeypatch):
    monkeypatch.setattr(neighbours, "TABLE", rows)  # 1000: two or six rows at a time
    monkeypatch.setattr(neighbours, "CACHED", rows)
    points = clouds()
    centres = points[:, ::5].clone()
    for found, radius, count in zip(
        query(points, centres, RADII, COUNTS), RADII, COUNTS, strict=True
    ):
        assert torch.equal(found, brute_balls(points, centres, radius, count))


@pytest.mark.parametrize("query", [ball_query, neighbours._balls_of_tables])
def test_an_empty_ball_is_reported(query):
    far = torch.full((3, 1, 3), 500.0)
    with pytest.raises(SkfmError, match="no point within 20 of a centre"):
        query(clouds(), far, RADII, COUNTS)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("table", [10**9, 1000])
def test_nearest_equals_brute_force(k, table, monkeypatch):
    points, among = clouds(n=70, seed=1), clouds()
    truth = torch.cdist(points.double(), among.double()).topk(k, largest=False)
    distance, index = nearest(points, among, k)
    assert distance.shape == index.shape == (3, 70, k)
    assert torch.equal(index, truth.indices)
    assert torch.allclose(distance.double(), truth.values, rtol=1e-5)
    monkeypatch.setattr(neighbours, "TABLE", table)
    tables = torch.cat(list(neighbours._tables(points, among)), 1)
    exact = torch.cdist(points.double(), among.double()).square()
    assert torch.allclose(tables.double(), exact, rtol=1e-5)
    with planned(1 << 30):
        by_table = nearest(points, among, k)
    assert torch.equal(by_table[1], index)
    assert torch.allclose(by_table[0], distance, rtol=1e-6)


def test_taking_is_indexing_and_carries_gradients():
    values = torch.randn(3, 10, 4, requires_grad=True)
    index = torch.randint(10, (3, 5, 2))
    taken = take(values, index)
    rows = [[values[b, i] for i in index[b].flatten()] for b in range(3)]
    assert torch.equal(taken.flatten(1, 2), torch.stack([torch.stack(r) for r in rows]))
    taken.sum().backward()
    times = torch.stack([torch.bincount(i.flatten(), minlength=10) for i in index])
    assert torch.equal(values.grad, times[..., None].expand(3, 10, 4).float())


def test_clouds_that_do_not_fit_are_reported():
    with pytest.raises(SkfmError, match="3 clouds of points and 2 of neighbours"):
        nearest(clouds(), clouds(b=2))
    with pytest.raises(SkfmError, match="among has 2 points a cloud.*at least 3"):
        nearest(clouds(), clouds(n=2), 3)
