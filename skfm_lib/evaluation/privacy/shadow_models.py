"""Membership inference with shadow models (Carlini et al. 2022), on their losses.

Shadow models are trained alike on random halves of the training skulls, so that each
skull is in the training set of some and not of others: an attacker who can train such
models knows what a skull's loss is with and without it.

Models come in pairs of complementary halves: each skull is in exactly one of a pair.  A
model is attacked with all pairs but its own.  Leaving out the model alone would leak:
of the others, fewer would have been trained on its members than on its non-members, so
that even losses of chance alone would tell them apart.
"""

from collections.abc import Sequence

import numpy as np

from skfm_lib.evaluation.privacy.membership_inference import (
    attack_auc,
    true_positive_rate,
)
from skfm_lib.evaluation.privacy.power import DETECTABLE, detectable_auc
from skfm_lib.metrics import Interval
from skfm_lib.utils.errors import SkfmError

FEWEST = 20  # skulls of a group that is attacked by itself
DECILE = 0.1
Row = dict[str, Interval | float | str]
AUC, TPR, RANGE = "AUC", "TPR at 1 % FPR", "AUC of each model"


def halves(qualities: Sequence[int], models: int, seed: int) -> np.ndarray:
    """Which skulls (N,) train which shadow models, bool (N, `models`).

    Columns 2 k and 2 k + 1 are complementary random halves of each quality score.

    Raises:
        SkfmError: for an odd number of models or fewer than four.
    """
    _check_models(models)
    rng, scores = np.random.default_rng(seed), np.asarray(qualities)
    member = np.zeros((len(scores), models), bool)
    for pair in range(0, models, 2):
        for quality in np.unique(scores):
            order = rng.permutation(np.flatnonzero(scores == quality))
            member[order[rng.integers(2) :: 2], pair] = True
        member[:, pair + 1] = ~member[:, pair]
    return member


def attack_scores(losses: np.ndarray, member: np.ndarray) -> dict[str, np.ndarray]:
    """Three attacks on every model: name → scores (N, M), low for a likely member.

    With l the logarithm of the loss (N, M), less its mean over the skulls, which a
    model's own quality determines:

    - "loss": l, without shadow models;
    - "calibrated loss": l − (μ_in + μ_out) / 2, with the means of the skull's l over
      the shadow models with and without it;
    - "likelihood ratio": (l − μ_in)² − (l − μ_out)², for Gaussians with one variance,
      since a handful of models does not give one for each skull.

    Raises:
        SkfmError: for other shapes, losses that are not positive numbers, and models
            that are not in complementary pairs.
    """
    logs = _standardised(losses, member)
    calibrated, ratio = np.empty(logs.shape), np.empty(logs.shape)
    for model, own in enumerate(logs.T):
        inside, outside = _means(logs, member, model)
        calibrated[:, model] = own - (inside + outside) / 2
        ratio[:, model] = (own - inside) ** 2 - (own - outside) ** 2
    return {"loss": logs, "calibrated loss": calibrated, "likelihood ratio": ratio}


def most_exposed(
    losses: np.ndarray, member: np.ndarray, share: float = DECILE
) -> np.ndarray:
    """The `share` of skulls that the other pairs expose most, bool (N, M).

    By μ_out − μ_in without the model's own pair: chosen by the losses that are
    attacked, even chance would look like exposure.
    """
    logs = _standardised(losses, member)
    chosen, count = np.zeros(logs.shape, bool), max(1, round(share * len(logs)))
    for model in range(logs.shape[1]):
        inside, outside = _means(logs, member, model)
        chosen[np.argsort(inside - outside, kind="stable")[:count], model] = True
    return chosen


def shadow_attack(
    scores: np.ndarray,
    member: np.ndarray,
    chosen: np.ndarray | None = None,
    seed: int = 0,
    draws: int = 1000,
) -> Row:
    """AUC and TPR at 1 % FPR, averaged over the models, with 95 % intervals.

    A skull has a score for every model, and models of a pair share their skulls.  So
    skulls, with all their scores, and pairs of models are resampled independently of
    each other (Owen 2007, the pigeonhole bootstrap, which is conservative).

    Args:
        scores: (N, M), low for a likely member.
        member: (N, M), bool.
        chosen: (N, M), bool: the skulls of a group, which may differ between pairs.
        seed: of the resampling.
        draws: of the resampling.

    Raises:
        SkfmError: for a group of fewer than `FEWEST` skulls.
    """
    chosen = np.ones(member.shape, bool) if chosen is None else chosen
    if chosen.sum(axis=0).min() < FEWEST:
        found = f"a group of {chosen.sum(axis=0).min()} skulls"
        raise SkfmError(found, f"at least {FEWEST}", "attack all skulls together")
    rng, (n, m) = np.random.default_rng(seed), member.shape
    values = _each_model(scores, member, chosen)
    drawn = []
    for _ in range(draws):
        items = rng.integers(n, size=n)
        each = _each_model(scores[items], member[items], chosen[items])
        pairs = rng.integers(m // 2, size=m // 2)
        drawn.append(each.reshape(-1, m // 2, 2)[:, pairs].mean(axis=(1, 2)))
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0)
    ends = zip(values.mean(axis=1), low, high)
    auc, tpr = (Interval(*map(float, one)) for one in ends)
    span = f"{values[0].min():.3f}–{values[0].max():.3f}"
    return {AUC: auc, TPR: tpr, RANGE: span, DETECTABLE: detectable_auc(auc)}


def group_attack(
    scores: np.ndarray, member: np.ndarray, chosen: np.ndarray, seed: int = 0
) -> Row:
    """`shadow_attack` on a group, or a row that says that it is too small."""
    size = int(chosen.sum(axis=0).min())
    if size < FEWEST:
        return {AUC: f"not measured: {size} skulls, of at least {FEWEST}"}
    return shadow_attack(scores, member, chosen, seed)


def of_score(qualities: Sequence[int], quality: int, member: np.ndarray) -> np.ndarray:
    """The skulls of one quality score, as a group of every model, bool (N, M)."""
    own = np.asarray(qualities) == quality
    return np.broadcast_to(own[:, None], member.shape)


def _each_model(
    scores: np.ndarray, member: np.ndarray, chosen: np.ndarray
) -> np.ndarray:
    """AUC and TPR (2, M) of the attack on each model."""
    found = []
    for column, own, group in zip(scores.T, member.T, chosen.T):
        sides = column[own & group], column[~own & group]
        found.append((attack_auc(*sides), true_positive_rate(*sides)))
    return np.array(found).T


def _standardised(losses: np.ndarray, member: np.ndarray) -> np.ndarray:
    """Logarithms of the losses less their mean over the skulls of each model."""
    _check_models(losses.shape[-1])
    if losses.shape != member.shape or (member[:, ::2] == member[:, 1::2]).any():
        found = f"losses {losses.shape} of the members {member.shape}"
        raise SkfmError(found, "models in pairs, each skull in one of a pair")
    if not (np.isfinite(losses) & (losses > 0)).all():
        raise SkfmError("losses of shadow models", "positive numbers", "train again")
    logs = np.log(losses)
    return logs - logs.mean(axis=0)


def _means(
    logs: np.ndarray, member: np.ndarray, model: int
) -> tuple[np.ndarray, np.ndarray]:
    """μ_in and μ_out (N,) over the pairs without that of `model`."""
    others = np.arange(logs.shape[1]) // 2 != model // 2
    logs, member = logs[:, others], member[:, others]
    half = member.shape[1] // 2  # in as many as not
    return (logs * member).sum(axis=1) / half, (logs * ~member).sum(axis=1) / half


def _check_models(models: int) -> None:
    if models < 4 or models % 2:
        raise SkfmError(f"{models} shadow models", "an even number of at least 4")
