"""Measures of copying, from distances between samples and real skulls in any space.

They are infinite between skulls that are not compared.
"""

from functools import lru_cache
from typing import NamedTuple

import numpy as np
from scipy.stats import hypergeom

from skfm_lib.metrics import Interval
from skfm_lib.utils.errors import SkfmError

RELABELLINGS = 200


class Side(NamedTuple):
    """Distances (n, m) to training or held-out skulls, and their scores (m,)."""

    distances: np.ndarray
    quality: np.ndarray

    def take(self, chosen: np.ndarray) -> "Side":
        """The same for some of the skulls."""
        return Side(self.distances[:, chosen], self.quality[chosen])


def neighbour_ratio(to_train: np.ndarray) -> np.ndarray:
    """Ratio (n,) of the distances (n, N) to the nearest two of N training skulls.

    In [0, 1]; it is 1 where both are 0.

    Raises:
        SkfmError: where a sample is compared with fewer than two training skulls.
    """
    two = np.sort(to_train, axis=1)[:, :2]
    if two.shape[1] < 2 or not np.isfinite(two).all():
        raise SkfmError(
            "a sample is compared with fewer than two training skulls",
            "two training skulls of every quality score",
            "train on more skulls",
        )
    ratio = np.ones(len(two))
    return np.divide(two[:, 0], two[:, 1], out=ratio, where=two[:, 1] > 0)


def authentic(to_train: np.ndarray, within_train: np.ndarray) -> np.ndarray:
    """Which samples are authentic (n,), bool (Alaa et al. 2022, from the definition).

    A sample is authentic if its nearest training skull is nearer to another training
    skull than to the sample.  The share of independent samples is 1/3 in one
    dimension and more in higher ones; its target is that of the test skulls.
    """
    others = within_train.astype(float)
    np.fill_diagonal(others, np.inf)
    return others.min(axis=1)[to_train.argmin(axis=1)] < to_train.min(axis=1)


def limits(
    holdout_nearest: np.ndarray,
    holdout_quality: np.ndarray,
    quality: np.ndarray,
    share: float,
) -> tuple[np.ndarray, np.ndarray]:
    """For each sample (n,), the distance below which it is a copy, and the false rate.

    The limit of a quality score is the k-th smallest distance from its m held-out
    skulls to training, k = ⌊share · (m + 1)⌋ but at least 1.  Another real skull is
    nearer with probability k / (m + 1), exactly and for any distribution.

    Raises:
        SkfmError: for a score without held-out skulls.
    """
    limit, rate = np.empty(len(quality)), np.empty(len(quality))
    for score in np.unique(quality):
        known = np.sort(holdout_nearest[holdout_quality == score])
        if not len(known):
            raise SkfmError(
                f"no held-out skull of QS {score} for samples of QS {score}",
                f"samples of QS {np.unique(holdout_quality).tolist()}",
                "have skulls of every quality score for validation",
            )
        k = max(1, int(share * (len(known) + 1) + 1e-9))
        limit[quality == score] = known[k - 1]
        rate[quality == score] = k / (len(known) + 1)
    return limit, rate


def closer_to_training(train: Side, holdout: Side) -> np.ndarray:
    """Probability (n,) that a sample is closer to training than to the hold-out.

    The distance to the closest skull decreases with their number, so training is cut
    to as many skulls of each quality score as the hold-out has (or the hold-out,
    where it has more).  This is the mean over all such subsets: with c of the N
    training skulls of a score closer than the closest hold-out, a subset of n holds
    none of them with the hypergeometric probability C(N − c, n) / C(N, n), and
    scores multiply.  Ties count one half.
    """
    holdout = holdout.take(_first_of_each(holdout.quality, train.quality))
    closest = holdout.distances.min(axis=1, keepdims=True)
    quality = (train.quality, holdout.quality)
    farther = _none_sampled(train.distances < closest, *quality)
    tied_or_farther = _none_sampled(train.distances <= closest, *quality)
    return 1 - (farther + tied_or_farther) / 2


def chance_of_closer(train: Side, holdout: Side, seed: int = 0) -> Interval:
    """Mean `closer_to_training` under the null hypothesis of no effect of training.

    Mean and central 95 % of 200 random relabellings of real skulls as training or
    held out, within quality scores.
    """
    rng, means = np.random.default_rng(seed), []
    holdout = holdout.take(_first_of_each(holdout.quality, train.quality))
    real = Side(*(np.concatenate(pair, axis=-1) for pair in zip(holdout, train)))
    for _ in range(RELABELLINGS):
        order = rng.permutation(len(real.quality))
        held = np.zeros(len(order), bool)
        held[order[_first_of_each(real.quality[order], holdout.quality)]] = True
        means.append(closer_to_training(real.take(~held), real.take(held)).mean())
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(np.mean(means)), float(low), float(high))


def _first_of_each(quality: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The first items of each score (sorted), at most as many as `wanted` has."""
    scores = np.unique(quality)
    items = [np.flatnonzero(quality == q)[: (wanted == q).sum()] for q in scores]
    return np.sort(np.concatenate(items))


def _none_sampled(
    marked: np.ndarray, quality: np.ndarray, sampled_quality: np.ndarray
) -> np.ndarray:
    """Probability (n,) that a stratified sample without replacement has none marked."""
    probability = np.ones(len(marked))
    for score, size in zip(*np.unique(sampled_quality, return_counts=True)):
        own = quality == score
        none = _hypergeometric_zero(int(own.sum()), int(size))
        probability *= none[marked[:, own].sum(axis=1)]
    return probability


@lru_cache
def _hypergeometric_zero(total: int, sampled: int) -> np.ndarray:
    """P(none marked among those sampled) for 0 … `total` marked ones."""
    return np.asarray(hypergeom.pmf(0, total, np.arange(total + 1), sampled))
