"""Samples compared with real skulls: copies are found, fresh samples are not."""

import numpy as np
import pytest

from skfm_lib.evaluation.privacy.copy_detection import RealSkulls
from skfm_lib.metrics import Interval
from skfm_lib.utils.errors import SkfmError


def apart(a, b):
    """One view of Euclidean distances (1, n, m)."""
    return np.linalg.norm(a[:, None] - b[None], axis=2)[None]


class World:
    """A population of points in two quality scores, split as a study is."""

    def __init__(self, seed, train=120, holdout=60, dimension=4):
        self.rng, self.dimension = np.random.default_rng(seed), dimension
        self.train, self.train_quality = self.draw(train)
        self.holdout, self.holdout_quality = self.draw(holdout)

    def draw(self, count):
        quality = np.repeat([2, 5], [count // 3, count - count // 3])
        points = self.rng.normal(size=(count, self.dimension))
        return points * quality[:, None], quality  # one score is wider

    def real(self, **settings):
        return RealSkulls(
            self.train_quality,
            self.holdout_quality,
            apart(self.train, self.train),
            apart(self.holdout, self.train),
            **settings,
        )

    def compare(self, points, quality, **settings):
        sides = apart(points, self.train), apart(points, self.holdout)
        return self.real(**settings).compare(*sides, quality)


def test_exact_copies_are_found_traced_and_not_authentic():
    world = World(0)
    items = np.array([3, 50, 119])
    found = world.compare(world.train[items], world.train_quality[items])
    assert found.copies.all() and (found.which == items).all()
    assert (found.nearest == 0).all() and (found.ratio == 0).all()
    assert not found.authentic.any() and (found.closer > 0.9 * 60 / 120).all()
    assert found.suspicious(2) == [0, 1]
    assert found.summary()["memorised"].value == 3 / 120


def test_fresh_draws_are_flagged_at_the_stated_rate_and_are_half_and_half():
    copies, expected, closer, inside = [], [], [], []
    for seed in range(40):
        world = World(seed)
        found = world.compare(*world.draw(60))
        copies.append(found.copies.mean())
        expected.append(found.expected)
        closer.append(found.closer.mean())
        inside.append(found.chance.low <= closer[-1] <= found.chance.high)
        assert found.chance.value == pytest.approx(0.5, abs=0.02)
    error = np.std(copies) / np.sqrt(40)
    assert np.mean(copies) == pytest.approx(np.mean(expected), abs=3 * error)
    # 20 and 40 hold-outs: k = ⌊.05 · 21⌋ = 1 and ⌊.05 · 41⌋ = 2, at a third and two
    assert expected[0] == pytest.approx((1 / 21 + 2 * 2 / 41) / 3)
    assert np.mean(closer) == pytest.approx(0.5, abs=0.02)
    assert np.mean(inside) > 0.85  # 95 % is stated; 40 worlds leave ± 7 %


def test_planted_copies_raise_every_measure_by_their_number():
    world = World(1)
    points, quality = world.draw(60)
    clean = world.compare(points, quality)
    points[:30:3] = world.train[:10]
    quality[:30:3] = world.train_quality[:10]
    dirty = world.compare(points, quality)
    assert dirty.copies[:30:3].all()
    others = np.ones(60, bool)
    others[:30:3] = False
    assert (dirty.copies[others] == clean.copies[others]).all()
    a, b = (f.summary() | f.similarity() for f in (clean, dirty))
    assert b["copies"].value > a["copies"].value and b["NNDR"].value < a["NNDR"].value
    assert b["authentic"].value < a["authentic"].value
    assert b["closer to training"].value > a["closer to training"].value
    assert set(range(10)) <= set(dirty.which[dirty.copies])


def test_a_set_of_copies_is_beyond_the_chance_of_who_was_held_out():
    world = World(2)
    noise = 0.05 * world.rng.normal(size=world.train.shape)
    found = world.compare(world.train + noise, world.train_quality)
    # a half of the training skulls is left when training is cut to the hold-out
    assert found.closer.mean() > found.chance.high > 0.5


def test_the_nearest_view_counts_and_is_reported():
    world = World(3)
    mirror = np.array([-1.0, 1, 1, 1])
    views = lambda a, b: np.concatenate([apart(a, b), apart(a, b * mirror)])  # noqa: E731
    real = RealSkulls(
        world.train_quality,
        world.holdout_quality,
        views(world.train, world.train),
        views(world.holdout, world.train),
    )
    samples = np.concatenate([world.train[:2], world.train[5:7] * mirror])
    quality = world.train_quality[[0, 1, 5, 6]]
    found = real.compare(
        views(samples, world.train), views(samples, world.holdout), quality
    )
    assert found.copies.all() and found.which.tolist() == [0, 1, 5, 6]
    assert found.view.tolist() == [0, 0, 1, 1]


def test_order_does_not_matter():
    world = World(5)
    points, quality = world.draw(30)
    found = world.compare(points, quality)
    order, train, held = (world.rng.permutation(n) for n in (30, 120, 60))
    world.train, world.train_quality = world.train[train], world.train_quality[train]
    world.holdout = world.holdout[held]
    world.holdout_quality = world.holdout_quality[held]
    again = world.compare(points[order], quality[order])
    for name in ("nearest", "limit", "ratio", "authentic", "closer", "copies"):
        assert np.allclose(getattr(found, name)[order], getattr(again, name))
    assert (train[again.which] == found.which[order]).all()


def test_a_row_of_the_table_has_intervals_around_its_values():
    world = World(6)
    found = world.compare(*world.draw(30))
    row = found.summary() | found.similarity()
    assert 0 < row.pop("expected") < 0.1
    for name, interval in row.items():
        assert isinstance(interval, Interval)
        assert 0 <= interval.low <= interval.value <= interval.high <= 1, name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"train_train": np.ones((1, 3, 2))}, "within training"),
        ({"holdout_train": np.ones((2, 3))}, "from hold-out"),
        ({"holdout_train": np.full((1, 2, 3), np.nan)}, "NaN"),
        ({"holdout_train": -np.ones((1, 2, 3))}, "negative"),
        ({"holdout_train": np.array([[[0.0, 1, 1], [1, 1, 1]]])}, "is also a training"),
        ({"share": 0}, "share 0"),
    ],
)
def test_bad_distances_are_named(change, words):
    good = {
        "train_quality": np.array([2, 2, 2]),
        "holdout_quality": np.array([2, 2]),
        "train_train": np.ones((1, 3, 3)),
        "holdout_train": np.ones((1, 2, 3)),
    }
    RealSkulls(**good)
    with pytest.raises(SkfmError, match=words):
        RealSkulls(**{**good, **change})


def test_a_score_without_hold_outs_is_refused():
    world = World(7)
    with pytest.raises(SkfmError, match="no held-out skull of QS 3"):
        world.compare(world.train[:4], np.array([2, 3, 2, 2]))
