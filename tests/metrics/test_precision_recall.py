"""Precision and recall against prdc and the definitions, item by item."""

import numpy as np
import pytest
from prdc import compute_prdc

from skfm_lib.metrics import (
    density_coverage,
    improved_precision_recall,
    probabilistic_precision_recall,
)
from skfm_lib.utils.errors import SkfmError

EVERY = [improved_precision_recall, density_coverage, probabilistic_precision_recall]


@pytest.fixture
def sets():
    rng = np.random.default_rng(1)
    return rng.normal(size=(31, 3)), rng.normal(size=(23, 3)) * 0.7 + 0.5


def distance(x, y):
    return np.sqrt(np.sum((x - y) ** 2))


def kth(x, i, k):
    return sorted(distance(x[i], y) for j, y in enumerate(x) if j != i)[k - 1]


def literal_improved(centres, queries, k):
    hits = 0
    for q in queries:
        hits += any(distance(q, c) < kth(centres, i, k) for i, c in enumerate(centres))
    return hits / len(queries)


def literal_probabilistic(centres, queries, k, a):
    radius = a * np.mean([kth(centres, i, k) for i in range(len(centres))])
    scores = []
    for q in queries:
        misses = [1 - max(0, 1 - distance(q, c) / radius) for c in centres]
        scores.append(1 - np.prod(misses))
    return np.mean(scores)


def test_improved_is_the_definition(sets):
    real, fake = sets
    expected = literal_improved(real, fake, 3), literal_improved(fake, real, 3)
    assert improved_precision_recall(real, fake) == pytest.approx(expected)
    assert 0 < expected[0] < 1 and 0 < expected[1] < 1


def test_probabilistic_is_the_definition(sets):
    real, fake = sets
    expected = (
        literal_probabilistic(real, fake, 4, 1.2),
        literal_probabilistic(fake, real, 4, 1.2),
    )
    found = probabilistic_precision_recall(real, fake)
    assert found == pytest.approx(expected, abs=1e-9)


def test_density_and_coverage_are_the_definition(sets):
    real, fake = sets
    inside = np.array(
        [[distance(r, f) < kth(real, i, 5) for f in fake] for i, r in enumerate(real)]
    )
    expected = inside.sum() / (5 * len(fake)), inside.any(axis=1).mean()
    assert density_coverage(real, fake) == pytest.approx(expected)


@pytest.mark.parametrize("k", [1, 3, 5])
@pytest.mark.parametrize("n, m, d", [(60, 60, 3), (90, 40, 16), (50, 80, 48)])
def test_improved_and_density_equal_prdc(n, m, d, k):
    rng = np.random.default_rng(n + k)
    real, fake = rng.normal(size=(n, d)), rng.normal(size=(m, d)) * 1.1 + 0.3
    expected = compute_prdc(real, fake, nearest_k=k)
    precision, recall = improved_precision_recall(real, fake, k=k)
    density, coverage = density_coverage(real, fake, k=k)
    assert (precision, recall) == (expected["precision"], expected["recall"])
    assert coverage == expected["coverage"]
    assert density == pytest.approx(expected["density"], rel=1e-15)
    assert 0 < precision < 1 and 0 < recall < 1


@pytest.mark.parametrize("measure", EVERY)
def test_disjoint_sets_score_zero_and_equal_sets_one(measure, sets):
    real, _ = sets
    assert measure(real, real + 100) == (0, 0)
    precision, recall = measure(real, real[::-1])
    assert recall == 1 and precision >= 1 - 1e-12


@pytest.mark.parametrize("measure", EVERY)
def test_noise_lowers_precision_and_a_lost_mode_recall(measure):
    rng = np.random.default_rng(2)
    blobs = lambda: np.concatenate(  # noqa: E731
        [rng.normal(size=(60, 4)), rng.normal(size=(60, 4)) + 12]
    )
    real, fresh = blobs(), blobs()
    precision, recall = measure(real, fresh)
    noisy = fresh + 4 * rng.normal(size=fresh.shape)
    assert measure(real, noisy)[0] < 0.6 * precision
    lost_precision, lost_recall = measure(real, fresh[:60])
    assert lost_recall < 0.6 * recall and lost_precision > 0.8 * precision


def test_a_collapsed_set_has_no_recall(sets):
    real, _ = sets
    collapsed = np.repeat(real[:1], 20, axis=0)
    assert improved_precision_recall(real, collapsed) == (1, 0)
    assert probabilistic_precision_recall(real, collapsed) == (1, 0)


@pytest.mark.parametrize("measure", EVERY)
@pytest.mark.parametrize("k", [0, 31])
def test_k_must_leave_a_neighbour(measure, k, sets):
    with pytest.raises(SkfmError, match=f"k = {k}"):
        measure(*sets, k=k)


def test_a_radius_between_two_neighbours_is_interpolated():
    """Reals at 0, 1, 3 and 7, fakes beside them: balls of k = 1.5 by hand."""
    real = np.array([[0.0], [1.0], [3.0], [7.0]])
    radius = np.array([(1 + 3) / 2, (1 + 2) / 2, (2 + 3) / 2, (4 + 6) / 2])
    fake = np.array([[-1.9], [-2.1], [5.4], [12.1], [11.9]])
    inside = np.abs(real - fake.T) < radius[:, None]
    assert improved_precision_recall(real, fake, k=1.5)[0] == inside.any(axis=0).mean()
    assert density_coverage(real, fake, k=1.5) == pytest.approx(
        (inside.sum() / (1.5 * 5), inside.any(axis=1).mean())
    )
