"""Tests of a mean over seeds and skulls: size, power and special cases."""

import numpy as np
import pytest
from scipy import stats

from skfm_lib.tasks.experiments.conclusions import (
    CONFIRMED,
    EQUIVALENT,
    REFUTED,
    ClaimTest,
    conclusions,
)
from skfm_lib.tasks.experiments.crossed import Estimate, crossed, estimate

REPETITIONS, WITHIN = 1000, 0.03  # of nominal
# seeds, skulls, and the standard deviations of seeds, skulls and what remains, mm
DESIGNS = {
    "over all scores": (5, 182, 0.6, 1.0, 2.0),
    "QS 6": (5, 9, 5.0, 3.0, 4.0),
    "skulls differ most": (5, 40, 0.1, 3.0, 0.5),
    "three seeds": (3, 182, 0.5, 1.0, 1.0),
    "QS 6, three seeds": (3, 9, 5.0, 3.0, 4.0),
}


FIVE_SEEDS = [name for name in DESIGNS if "three" not in name]


def samples(design, repetitions=REPETITIONS, seed=0):
    """Tables (repetitions, seeds, skulls) of mean 0."""
    seeds, skulls, *spread = DESIGNS[design]
    rng = np.random.default_rng(seed)
    shapes = (seeds, 1), (1, skulls), (seeds, skulls)
    parts = [s * rng.standard_normal((repetitions, *n)) for s, n in zip(spread, shapes)]
    return parts[0] + parts[1] + parts[2]


def truth(design):
    """The true standard error, and the freedom of the true components."""
    seeds, skulls, a, b, e = DESIGNS[design]
    freedoms = seeds - 1, skulls - 1, (seeds - 1) * (skulls - 1)
    parts = skulls * a**2 + e**2, seeds * b**2 + e**2, -(e**2)
    freedom = sum(parts) ** 2 / sum(p**2 / f for p, f in zip(parts, freedoms))
    return np.sqrt(sum(parts) / (seeds * skulls)), np.sqrt(freedom * min(freedoms))


def concluded(found, shift, margin=0.0, no_worse=False, family=1):
    """Shares of the conclusions on estimates (repetitions, of) with μ = `shift`."""
    texts = []
    for values, errors, freedoms in zip(*(np.atleast_2d(x.T).T for x in found)):
        tests = [
            ClaimTest(Estimate(v + shift, e, f), margin, no_worse, 5)
            for v, e, f in zip(values, errors, freedoms)
        ]
        texts.append([text for _, text in conclusions(tests, family)])
    return np.array(texts)


@pytest.mark.parametrize("design", DESIGNS)
def test_differences_that_are_not_there_are_found_as_often_as_they_say(design):
    texts = concluded(crossed(samples(design)), 0.0)
    wrong = np.isin(texts, [CONFIRMED, REFUTED]).mean()
    assert wrong == pytest.approx(0.05, abs=WITHIN)
    found = crossed(samples(design, seed=1))
    reach = found.error * stats.t.ppf(0.975, found.freedom)
    assert (np.abs(found.value) < reach).mean() == pytest.approx(0.95, abs=WITHIN)


@pytest.mark.parametrize("design", DESIGNS)
@pytest.mark.parametrize("strength", [1.5, 3.0, 4.5])
def test_the_power_is_how_often_a_claim_is_confirmed_or_refuted(design, strength):
    error, freedom = truth(design)
    shift = strength * error
    expected = Estimate(0.0, error, freedom).power(shift, 0.05)
    above = concluded(crossed(samples(design, seed=2)), shift) == CONFIRMED
    below = concluded(crossed(samples(design, seed=3)), -shift) == REFUTED
    found = (above.mean() + below.mean()) / 2
    assert found == pytest.approx(expected, abs=WITHIN)


@pytest.mark.parametrize("design", FIVE_SEEDS)
def test_what_is_as_large_as_the_margin_is_rarely_called_equivalent(design):
    error, _ = truth(design)
    margin = 6 * error
    found = crossed(samples(design, seed=4))
    texts = concluded(found, margin, margin)
    assert (texts == EQUIVALENT).mean() <= 0.05 + WITHIN
    p_within = [
        Estimate(*one).p_within(margin) for one in zip(*_shifted(found, margin))
    ]
    assert np.mean(np.array(p_within) < 0.05) == pytest.approx(0.05, abs=WITHIN)
    same = concluded(found, 0.0, margin)
    assert (same == EQUIVALENT).mean() > 0.8


def _shifted(found, by):
    return found.value + by, found.error, found.freedom


def test_that_a_set_is_no_worse_has_the_margin_as_its_threshold():
    error, freedom = truth("over all scores")
    margin = 3 * error
    found = crossed(samples("over all scores", seed=5))
    at_margin = concluded(found, -margin, margin, no_worse=True)
    wrong = np.isin(at_margin, [CONFIRMED, REFUTED]).mean()
    assert wrong == pytest.approx(0.05, abs=WITHIN)
    expected = Estimate(0.0, error, freedom).power(margin, 0.05)
    alike = concluded(found, 0.0, margin, no_worse=True)
    assert (alike == CONFIRMED).mean() == pytest.approx(expected, abs=WITHIN)
    assert not (alike == EQUIVALENT).any()


def test_of_four_primary_claims_one_is_wrong_in_twenty_studies_at_most():
    every = [crossed(samples("over all scores", seed=s)) for s in range(10, 14)]
    found = Estimate(*(np.stack(parts, axis=-1) for parts in zip(*every)))
    texts = concluded(found, 0.0, family=4)
    wrong = np.isin(texts, [CONFIRMED, REFUTED]).any(axis=1).mean()
    assert wrong == pytest.approx(0.05, abs=WITHIN)
    alone = np.isin(concluded(found, 0.0), [CONFIRMED, REFUTED]).any(axis=1).mean()
    assert alone > 0.12  # without the correction
    error, _ = truth("over all scores")
    shifts = np.array([12 * error, 0, 0, 0])  # Holm: a true claim gives way to others
    moved = Estimate(found.value + shifts, found.error, found.freedom)
    texts = concluded(moved, 0.0, family=4)
    assert (texts[:, 0] == CONFIRMED).mean() > 0.95
    wrong = np.isin(texts[:, 1:], [CONFIRMED, REFUTED]).any(axis=1).mean()
    assert wrong == pytest.approx(0.05, abs=WITHIN)


def test_tables_of_many_are_those_of_each():
    x = samples("QS 6", 20)
    many = crossed(x)
    for i in range(20):
        assert estimate(x[i]) == pytest.approx([part[i] for part in many])


def test_balanced_sums_of_squares_agree_with_those_written_out():
    x = samples("QS 6", 1)[0]
    seeds, skulls = x.shape
    a = skulls * np.sum((x.mean(1) - x.mean()) ** 2) / (seeds - 1)
    b = seeds * np.sum((x.mean(0) - x.mean()) ** 2) / (skulls - 1)
    rest = x - x.mean(1, keepdims=True) - x.mean(0) + x.mean()
    e = np.sum(rest**2) / (seeds - 1) / (skulls - 1)
    assert a > e and b > e
    assert estimate(x).error == pytest.approx(np.sqrt((a + b - e) / x.size))


def test_one_seed_covers_skulls_and_one_skull_nothing():
    x = samples("QS 6", 1)[0]
    one = estimate(x[:1])
    found = stats.ttest_1samp(x[0], 0)
    assert one.p_value() == pytest.approx(found.pvalue)
    assert one.interval()[1:] == pytest.approx(found.confidence_interval())
    single = estimate(x[:, :1])
    assert single.interval().high == np.inf and single.p_value() == 1


def test_what_does_not_vary_is_known():
    flat = estimate(np.full((3, 4), 2.0))
    assert flat.interval() == (2, 2, 2) and flat.p_value() == 0
    assert flat.p_value(2.0) == 1 and flat.p_within(3.0) == 0
    assert flat.power(1.0, 0.05) == 1 and flat.power(0.0, 0.05) == 0
