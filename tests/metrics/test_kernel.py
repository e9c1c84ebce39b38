"""The kernel distance: its definition, and no bias with or without matched labels."""

from itertools import product

import numpy as np
import pytest
import torch

from skfm_lib.metrics import kernel_distance
from skfm_lib.utils.errors import SkfmError

COUNTS = {48: [11, 13, 10, 12, 2], 182: [42, 51, 38, 42, 9]}  # of scores 2 to 6
CENTRES = np.random.default_rng(9).normal(size=(5, 6))


def k(x, y):
    return (x @ y / len(x) + 1) ** 3


def literal(a, b, p, q):
    """The sum over pairs of labels, block by block."""

    def mean(x, y, same):
        pairs = product(range(len(x)), range(len(y)))
        return np.mean([k(x[i], y[j]) for i, j in pairs if not (same and i == j)])

    total = 0
    for s, t in product(set(p) | set(q), repeat=2):
        (a_s, a_t), (b_s, b_t) = (a[p == s], a[p == t]), (b[q == s], b[q == t])
        if len(a_s) and len(a_t):
            total += len(a_s) * len(a_t) / len(a) ** 2 * mean(a_s, a_t, s == t)
        if len(b_s) and len(b_t):
            total += len(b_s) * len(b_t) / len(b) ** 2 * mean(b_s, b_t, s == t)
        if len(a_s) and len(b_t):
            share = len(a_s) * len(b_t) / len(a) / len(b)
            total -= 2 * share * mean(a_s, b_t, False)
    return total


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def test_it_equals_the_double_loop_with_labels_and_without(rng):
    a, b = rng.normal(size=(7, 4)), rng.normal(size=(9, 4)) + 0.3
    alike = np.zeros(7, int), np.zeros(9, int)
    expected = literal(a, b, *alike)
    assert kernel_distance(torch.tensor(a), b) == pytest.approx(expected)
    assert kernel_distance(a, b, alike) == pytest.approx(expected)
    p, q = np.array([2, 3, 2, 3, 3, 2, 2]), np.array([3, 2, 5, 5, 5, 2, 2, 3, 3])
    found = kernel_distance(a, b, (p, q))
    assert found == pytest.approx(literal(a, b, p, q))
    order = rng.permutation(9)
    assert kernel_distance(a, b[order], (p, q[order])) == pytest.approx(found)


def halves(rng, p, q):
    """Two sets of one population: Gaussians around the centres of their labels."""
    return [CENTRES[x] + rng.normal(size=(len(x), 6)) for x in (p, q)]


@pytest.mark.parametrize("n", COUNTS)
def test_it_is_zero_in_expectation_matched_or_not(n):
    rng, scores = np.random.default_rng(n), np.repeat(np.arange(5), COUNTS[n])
    matched, blind, free = [], [], []
    for _ in range(100):
        a, b = halves(rng, scores, scores)
        matched.append(kernel_distance(a, b, (scores, scores)))
        blind.append(kernel_distance(a, b))
        free.append(kernel_distance(*halves(rng, *rng.choice(scores, (2, n)))))
    error = lambda values: np.std(values) / np.sqrt(100)  # noqa: E731
    assert abs(np.mean(matched)) < 3 * error(matched)
    assert abs(np.mean(free)) < 3 * error(free)
    assert np.mean(blind) < -5 * error(blind)  # without the labels of matched sets


def test_a_label_of_one_item_adds_nothing_for_matched_sets():
    rng, scores = np.random.default_rng(1), np.array([0] * 6 + [1] * 5 + [2])
    draws = [
        kernel_distance(*halves(rng, scores, scores), (scores, scores))
        for _ in range(600)
    ]
    assert abs(np.mean(draws)) < 3 * np.std(draws) / np.sqrt(600)


def test_other_shares_are_a_distance(rng):
    p, q = np.repeat([0, 1], [30, 10]), np.repeat([0, 1], [10, 30])
    draws = [kernel_distance(*halves(rng, p, q), (p, q)) for _ in range(50)]
    assert np.mean(draws) > 5 * np.std(draws) / np.sqrt(50)


@pytest.mark.parametrize("p, q", [(8, 10), (9, 9), ((9, 1), 10)])
def test_other_numbers_of_labels_are_named(rng, p, q):
    a, b = rng.normal(size=(9, 3)), rng.normal(size=(10, 3))
    with pytest.raises(SkfmError, match="one for each of 9 and 10 items"):
        kernel_distance(a, b, (np.zeros(p), np.zeros(q)))
