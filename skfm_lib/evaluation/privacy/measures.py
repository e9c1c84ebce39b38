"""Measures of copying, each from distances between samples and real skulls.

Distances are (n, N) from n samples to N training skulls, (n, M) to M held-out ones,
in any space; infinity stands for skulls that are not compared.
"""

import numpy as np
from scipy.special import gammaln

from skfm_lib.metrics import Interval
from skfm_lib.utils.errors import SkfmError

RELABELLINGS = 200


def neighbour_ratio(to_train: np.ndarray) -> np.ndarray:
    """Nearest-neighbour distance ratio d_1 / d_2 of each sample (n,), in [0, 1].

    d_1, d_2 are the distances to the two nearest training skulls; near 0 the sample
    is much nearer to one skull than to any other.  1 where both are 0.  Raises
    SkfmError where a sample is compared with fewer than two training skulls.
    """
    if to_train.shape[1] < 2 or not np.isfinite(two := _two_nearest(to_train)).all():
        raise SkfmError(
            "a sample is compared with fewer than two training skulls",
            "two training skulls of every quality score",
            "train on more skulls",
        )
    ratio = np.ones(len(two))
    return np.divide(two[:, 0], two[:, 1], out=ratio, where=two[:, 1] > 0)


def authentic(to_train: np.ndarray, within_train: np.ndarray) -> np.ndarray:
    """Which samples are authentic (n,), bool (Alaa et al. 2022, from the definition).

    A sample y with x* its nearest training skull is authentic if x* is nearer to
    another training skull than to y.  within_train (N, N); its diagonal is not looked
    at.  The share has no target of its own: fresh draws score 1/3 in one dimension
    and more in higher ones, so it is read beside that of the held-out skulls.
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

    The limit of a quality score is the k-th smallest distance from its m hold-outs
    to training, k = ⌊share · (m + 1)⌋ but at least 1.  One more real skull, drawn
    like the hold-outs, is nearer with probability k / (m + 1): exactly so, whatever
    the distribution.  Raises SkfmError for a score without hold-outs.
    """
    limit, rate = np.empty(len(quality)), np.empty(len(quality))
    for score in np.unique(quality):
        known = np.sort(holdout_nearest[holdout_quality == score])
        if not len(known):
            raise SkfmError(
                f"no held-out skull of QS {score} to judge samples of QS {score} by",
                f"scores {sorted(set(np.asarray(holdout_quality).tolist()))}",
                "hold out skulls of every quality score (two for the control)",
            )
        k = max(1, int(share * (len(known) + 1) + 1e-9))
        limit[quality == score] = known[k - 1]
        rate[quality == score] = k / (len(known) + 1)
    return limit, rate


def closer_to_training(
    to_train: np.ndarray,
    to_holdout: np.ndarray,
    train_quality: np.ndarray,
    holdout_quality: np.ndarray,
) -> np.ndarray:
    """Probability (n,) that a sample is closer to training than to the hold-out.

    The distance to the closest record falls with the number of records, so training
    is cut to as many skulls of each quality score as the hold-out has.  The mean is
    over all such subsets, in closed form: with c_q of the N_q training skulls of
    score q closer than the closest hold-out, a subset of n_q has none of them with
    probability ∏_q C(N_q − c_q, n_q) / C(N_q, n_q).  Ties count one half.  Where
    training has fewer skulls of a score, the hold-out's surplus is left out.
    """
    kept = _first_of_each(holdout_quality, train_quality)
    closest = to_holdout[:, kept].min(axis=1, keepdims=True)
    quality = (train_quality, holdout_quality[kept])
    missed = _none_drawn(to_train < closest, *quality)
    tied_or_missed = _none_drawn(to_train <= closest, *quality)
    return 1 - (missed + tied_or_missed) / 2


def chance_of_closer(
    to_train: np.ndarray,
    to_holdout: np.ndarray,
    train_quality: np.ndarray,
    holdout_quality: np.ndarray,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Mean `closer_to_training` if it made no difference who was trained on.

    Real skulls are relabelled at random within their quality score, training as
    hold-out and the other way round, 200 times: the mean and the central `level` of
    what comes out.  A share above that is not chance in who was held out.
    """
    rng = np.random.default_rng(seed)
    kept = _first_of_each(holdout_quality, train_quality)
    apart = np.hstack([to_holdout[:, kept], to_train])
    quality = np.concatenate([holdout_quality[kept], train_quality])
    drawn = []
    for _ in range(RELABELLINGS):
        order = rng.permutation(len(quality))
        held = np.zeros(len(quality), bool)
        held[order[_first_of_each(quality[order], holdout_quality[kept])]] = True
        sides = (apart[:, ~held], apart[:, held], quality[~held], quality[held])
        drawn.append(closer_to_training(*sides).mean())
    ends = np.quantile(drawn, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(np.mean(drawn)), *map(float, ends))


def _two_nearest(to_train: np.ndarray) -> np.ndarray:
    return np.partition(to_train, 1, axis=1)[:, :2]


def _first_of_each(quality: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The first items of each score (sorted), as many as `wanted` has, if there are."""
    items = [
        np.flatnonzero(quality == q)[: (wanted == q).sum()] for q in np.unique(quality)
    ]
    return np.sort(np.concatenate(items))


def _none_drawn(
    marked: np.ndarray, quality: np.ndarray, drawn_quality: np.ndarray
) -> np.ndarray:
    """Probability (n,) that a stratified draw without replacement has no marked one."""
    log = np.zeros(len(marked))
    for score in np.unique(drawn_quality):
        count = (drawn_quality == score).sum()
        unmarked = (~marked[:, quality == score]).sum(axis=1)
        log += _log_choose(unmarked, count)
        log -= _log_choose(np.array([(quality == score).sum()]), count)
    return np.exp(log)


def _log_choose(n: np.ndarray, k: int) -> np.ndarray:
    """log C(n, k); −∞ where n < k."""
    enough = np.maximum(n, k)
    value = gammaln(enough + 1) - gammaln(k + 1) - gammaln(enough - k + 1)
    return np.where(n < k, -np.inf, value)
