"""Conclusions on claims, corrected as a family."""

import numpy as np
import pytest
from scipy.stats import norm

from skfm_lib.tasks.experiments.conclusions import (
    CONFIRMED,
    EQUIVALENT,
    ONE_SEED,
    REFUTED,
    UNDECIDED,
    ClaimTest,
    conclusions,
    holm,
)
from skfm_lib.tasks.experiments.crossed import Estimate

MANY = 10_000  # degrees of freedom: Student's t is normal


def case_of(value, error=1.0, margin=1.0, no_worse=False, units=5):
    return ClaimTest(Estimate(value, error, MANY), margin, no_worse, units)


@pytest.mark.parametrize(
    ("case", "text"),
    [
        (case_of(3.0), CONFIRMED),
        (case_of(-3.0), REFUTED),
        (case_of(0.1, error=0.2), EQUIVALENT),
        (case_of(0.5, error=0.2), CONFIRMED),  # although it is within the margin
        (case_of(0.1), UNDECIDED),
        (case_of(3.0, units=1), ONE_SEED),
        (case_of(-0.5, error=0.1, no_worse=True), CONFIRMED),  # by less than the margin
        (case_of(-1.5, error=0.1, no_worse=True), REFUTED),
        (case_of(-0.9, error=0.1, no_worse=True), UNDECIDED),
    ],
)
def test_a_claim_is_concluded_by_threshold_and_margin(case, text):
    ((_, found),) = conclusions([case])
    assert found == text


def test_p_values_are_students():
    case = case_of(2.0)
    assert case.p_value == pytest.approx(2 * norm.sf(2.0), rel=1e-2)
    assert case.p_within == pytest.approx(norm.sf(-1.0), rel=1e-2)
    shifted = case_of(2.0, no_worse=True)
    assert shifted.p_value == pytest.approx(2 * norm.sf(3.0), rel=2e-2)
    assert shifted.p_within == 1


def test_holm_is_monotone_and_counts_what_was_not_tried():
    p = [0.012, 0.5, 0.001, 0.04]
    assert holm(p, 4) == pytest.approx([0.036, 0.5, 0.004, 0.08])
    assert holm([0.01], 4) == [0.04] and holm(p, 1) == p
    assert holm([0.3, 0.9], 4) == [1, 1] and holm([], 3) == []
    rng = np.random.default_rng(0)
    for _ in range(50):
        drawn = rng.random(6)
        adjusted = np.array(holm(drawn.tolist(), 6))
        assert (adjusted >= drawn).all() and (
            adjusted <= np.minimum(6 * drawn, 1)
        ).all()
        assert (
            np.argsort(adjusted[np.argsort(drawn)], kind="stable") == range(6)
        ).all()


def test_the_correction_decides_fewer_claims():
    cases = [case_of(2.2), case_of(2.2), case_of(2.2), case_of(0.0)]
    assert [text for _, text in conclusions(cases)][:3] == 3 * [CONFIRMED]
    assert [text for _, text in conclusions(cases, 4)][:3] == 3 * [UNDECIDED]
