"""Shadow models: balance, attacks of a known AUC, and none where there is no leak."""

import numpy as np
import pytest
from scipy.stats import norm

from skfm_lib.evaluation.privacy import shadow_models as shadow
from skfm_lib.evaluation.privacy.membership_inference import (
    attack_auc,
    true_positive_rate,
)
from skfm_lib.utils.errors import SkfmError

SCORES = [2] * 81 + [5] * 60 + [6] * 19


def losses(member, leak, seed, models_differ=0.3):
    """Losses of skulls that differ much, of models that differ, with a known leak."""
    rng = np.random.default_rng(seed)
    skulls, models = member.shape
    logs = 2 * rng.normal(size=(skulls, 1)) + models_differ * rng.normal(size=models)
    return np.exp(logs + rng.normal(size=member.shape) - leak * member)


def test_halves_are_balanced_for_skulls_models_and_scores():
    member = shadow.halves(SCORES, 8, seed=0)
    assert (member.sum(axis=1) == 4).all()
    assert (member[:, ::2] ^ member[:, 1::2]).all()
    for quality in set(SCORES):
        own = member[np.array(SCORES) == quality]
        assert (np.abs(own.sum(axis=0) - len(own) / 2) <= 0.5).all()
    other = shadow.halves(SCORES, 8, seed=1)
    assert 0.4 < (member == other).mean() < 0.6
    columns = member[:, ::2].T
    agree = [(a == b).mean() for i, a in enumerate(columns) for b in columns[:i]]
    assert 0.3 < min(agree) <= max(agree) < 0.7  # the pairs are independent


@pytest.mark.parametrize("leak", [0.5, 1.5])
def test_calibrated_losses_have_the_auc_of_their_leak(leak):
    """Of six other models, the mean has a sixth of the variance: Φ(δ / √(2 · 7/6))."""
    member = shadow.halves(SCORES * 5, 8, seed=0)
    given = losses(member, leak, 1), member
    scores = shadow.attack_scores(*given)
    found = shadow.shadow_attack(scores["calibrated loss"], member, draws=100)
    assert found["AUC"].value == pytest.approx(
        norm.cdf(leak / (7 / 3) ** 0.5), abs=0.02
    )
    alone = shadow.shadow_attack(scores["loss"], member, draws=2)["AUC"].value
    assert alone == pytest.approx(norm.cdf(leak / 10**0.5), abs=0.03)
    assert alone < found["AUC"].value  # skulls differ more than training changes them
    ratio = shadow.shadow_attack(scores["likelihood ratio"], member, draws=2)
    assert ratio["AUC"].value > 0.5


def test_without_a_leak_every_attack_is_chance_within_its_interval():
    """Also the mean over many worlds: no attack learns from how halves were dealt."""
    values = {}
    inside = []
    for seed in range(40):
        member = shadow.halves(SCORES[::2], 6, seed)
        given = losses(member, 0.0, seed), member
        scores = shadow.attack_scores(*given)
        for name, one in scores.items():
            found = shadow._each_model(one, member, np.ones(member.shape, bool))
            values.setdefault(name, []).append(found[0].mean())
        worst = shadow.most_exposed(*given, 0.5)
        group = shadow._each_model(scores["calibrated loss"], member, worst)
        values.setdefault("worst", []).append(group[0].mean())
        auc = shadow.shadow_attack(scores["calibrated loss"], member, draws=60)["AUC"]
        inside.append(auc.low <= 0.5 <= auc.high)
    for name, found in values.items():
        error = np.std(found) / len(found) ** 0.5
        assert np.mean(found) == pytest.approx(0.5, abs=3.5 * error), name
    assert np.mean(inside) >= 0.85  # 95 % or more is stated; 40 worlds leave 7 %


def test_leaving_out_the_model_alone_would_leak():
    """What the pairs are for: its partner's half tells who is a member."""
    found = []
    for seed in range(20):
        member = shadow.halves(SCORES, 4, seed)
        logs = np.log(losses(member, 0.0, seed))
        for model in range(4):
            others = np.arange(4) != model
            inside, outside = (
                np.where(side[:, others], logs[:, others], np.nan)
                for side in (member, ~member)
            )
            own = logs[:, model]
            means = [np.nanmean(side, axis=1) for side in (inside, outside)]
            score = (own - means[0]) ** 2 - (own - means[1]) ** 2
            sides = score[member[:, model]], score[~member[:, model]]
            found.append(attack_auc(*sides))
    assert np.mean(found) < 0.48


def test_the_means_over_models_are_those_of_single_attacks():
    member = shadow.halves(SCORES, 4, 0)
    scores = shadow.attack_scores(losses(member, 1.0, 0), member)["loss"]
    chosen = shadow.of_score(SCORES, 5, member)
    found = shadow.shadow_attack(scores, member, chosen, draws=20)
    aucs, rates = [], []
    for own, column in zip(member.T, scores.T):
        five = np.array(SCORES) == 5
        sides = column[own & five], column[~own & five]
        aucs.append(attack_auc(*sides))
        rates.append(true_positive_rate(*sides))
    assert found["AUC"].value == pytest.approx(np.mean(aucs))
    assert found["TPR at 1 % FPR"].value == pytest.approx(np.mean(rates))
    assert found[shadow.RANGE] == f"{min(aucs):.3f}–{max(aucs):.3f}"
    assert found["AUC"].low < found["AUC"].value < found["AUC"].high


def test_the_worst_decile_is_where_the_leak_is():
    member = shadow.halves(SCORES, 8, 0)
    leak = np.where(np.arange(len(SCORES)) % 10 == 0, 4.0, 0.0)[:, None]
    given = losses(member, leak, 0), member
    worst = shadow.most_exposed(*given)
    assert worst.sum(axis=0).tolist() == [16] * 8
    assert worst[::10].mean() > 0.8
    scores = shadow.attack_scores(*given)["calibrated loss"]
    row = shadow.group_attack(scores, member, worst)
    assert row["AUC"] == "not measured: 16 skulls, of at least 20"
    large = shadow.most_exposed(*given, 0.15)
    everyone = shadow.shadow_attack(scores, member, draws=20)["AUC"].value
    assert shadow.group_attack(scores, member, large)["AUC"].value > everyone + 0.2


@pytest.mark.parametrize("models", [2, 5])
def test_too_few_models_are_refused(models):
    with pytest.raises(SkfmError, match=f"{models} shadow models; expected an even"):
        shadow.halves(SCORES, models, 0)


def test_impossible_losses_are_refused():
    member = shadow.halves(SCORES, 4, 0)
    good = losses(member, 0.0, 0)
    for bad in (np.where(member, np.nan, good), -good):
        with pytest.raises(SkfmError, match="losses of shadow models; expected pos"):
            shadow.attack_scores(bad, member)
    with pytest.raises(SkfmError, match="expected models in pairs"):
        shadow.attack_scores(good, np.ones_like(member))
    few = np.zeros_like(member)
    few[:5] = True
    with pytest.raises(SkfmError, match="a group of 5 skulls; expected at least 20"):
        shadow.shadow_attack(good, member, few)
