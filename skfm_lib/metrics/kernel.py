"""The kernel distance of two sets, also of sets that are matched by a label."""

from collections.abc import Sequence

import numpy as np

from skfm_lib.metrics.distributions import Features, feature_pair
from skfm_lib.utils.errors import SkfmError

Labels = tuple[Sequence[int] | np.ndarray, Sequence[int] | np.ndarray]


def kernel_distance(a: Features, b: Features, labels: Labels | None = None) -> float:
    """Squared maximum mean discrepancy of `a` and `b`: the kernel distance.

    Kernel k(x, y) = ``(x·y/d + 1)³`` (Bińkowski et al. 2018, "KID").  Unbiased at every
    n, so it has no least value and may be negative for sets of one distribution.

    Sets that are matched by a label, here the quality score, have fixed numbers n_s of
    items of each: leaving out the pairs of an item with itself then changes the mix of
    labels within a set but not between sets, and the estimate is too low.  With
    `labels` (n,) and (m,), the mean of each pair of labels is taken by itself and
    weighted by the shares p_s = n_s / n of the set it is of:

        Σ_st p_s p_t A_st + Σ_st q_s q_t B_st − 2 Σ_st p_s q_t C_st

    where A_st and B_st are the means of k over the pairs of two different items of
    labels s and t in a set, and C_st over those between the sets.  It is unbiased for
    the discrepancy of mixtures with exactly these shares, hence 0 in expectation for
    matched sets of one population.  Of a label that only one item of a set has, A_ss or
    B_ss is unknown: its pairs with itself are left out of all three sums, which is
    exact for matched sets of one population, and otherwise a matter of 1/n².

    Without labels, all items are of one.  Labels of independent draws need not be
    given; they add the discrepancy of the two mixes.

    Raises:
        SkfmError: for other numbers of labels, or features as in `distributions`.

    >>> x = np.random.default_rng(0).normal(size=(50, 4))
    >>> round(kernel_distance(x[:25], x[25:]), 3)
    0.312
    """
    a, b = feature_pair(a, b)
    given = (np.zeros(len(a)), np.zeros(len(b))) if labels is None else labels
    p, q = map(np.asarray, given)
    if (p.shape, q.shape) != ((len(a),), (len(b),)):
        found = f"labels of shapes {p.shape} and {q.shape}"
        raise SkfmError(found, f"one for each of {len(a)} and {len(b)} items")
    single = np.concatenate([_of_one_item(p), _of_one_item(q)])
    between = _cubic(a, b)
    between[(p[:, None] == q) & np.isin(q, single)] = 0
    return float(_within(a, p, single) + _within(b, q, single) - 2 * between.mean())


def _within(x: np.ndarray, labels: np.ndarray, single: np.ndarray) -> float:
    """Σ_st p_s p_t A_st, without the label pairs (s, s) of those that are `single`."""
    kernel = _cubic(x, x)
    np.fill_diagonal(kernel, 0)
    _, inverse, counts = np.unique(labels, return_inverse=True, return_counts=True)
    number = counts[inverse]
    weight = np.where(np.isin(labels, single), 0, number / np.maximum(number - 1, 1))
    same = labels[:, None] == labels
    return float(np.where(same, weight[:, None] * kernel, kernel).mean())


def _of_one_item(labels: np.ndarray) -> np.ndarray:
    values, counts = np.unique(labels, return_counts=True)
    return np.asarray(values[counts == 1])


def _cubic(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.asarray((x @ y.T / x.shape[1] + 1) ** 3)
