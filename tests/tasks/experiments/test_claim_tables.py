"""Tables of the paper's claims: which sets they compare, and what is concluded."""

import numpy as np
import pandas as pd
import pytest
from made_errors import noisy, table

from skfm_lib.presets import paper_tables
from skfm_lib.tasks.experiments import MIXES, PLANS, claim_tables, tables
from skfm_lib.tasks.experiments.claims import (
    BALANCE,
    CLAIMS,
    OURS,
    paper_errors,
    set_name,
)
from skfm_lib.tasks.experiments.plan import PRIMARY

PLAN = PLANS["aligner"]


def claims(errors):
    return claim_tables.every(errors, PLAN)


def rows_of(errors):
    return claim_tables.together(claims(errors))


def tried(errors):
    rows = rows_of(errors).items()
    return {text: row for text, row in rows if row["better by, mm"] is not None}


def every_set(value=5.0, **changes):
    return table({name: value for name in PLAN.trainings} | changes)


def test_the_four_primary_claims_are_claims_and_tested_together():
    texts = [claim.text for claim in CLAIMS]
    assert len(PRIMARY) == 4 and set(PRIMARY) < set(texts)
    assert len(set(texts)) == len(texts)
    noise = {name: noisy(i, 5.0) for i, name in enumerate(PLAN.trainings)}
    found = claims(table(noise))
    assert list(found["primary"]) == list(PRIMARY)
    assert set(found["secondary"]) == set(texts) - set(PRIMARY)
    further = [claim.text for claim in (*BALANCE, *OURS)]
    assert list(found["further"]) == further
    one = found["primary"]["OTFM is better than DDPM alone"]
    alone = claim_tables.every(
        table({k: noise[k] for k in ("100% OTFM", "100% DDPM")}), PLAN
    )["primary"]["OTFM is better than DDPM alone"]
    assert one["better by, mm"] == alone["better by, mm"]
    # Alone it is multiplied by four, among others by its rank.
    assert float(one["p"]) <= float(alone["p"])


def test_the_plan_trains_what_every_claim_compares():
    for task, plan in PLANS.items():
        wanted = [claim for claim in CLAIMS if claim.text in plan.primary]
        wanted += [c for c in CLAIMS if not set(c.contrast) & {"oversampled"}]
        for claim in wanted:
            assert set(claim.contrast) <= set(plan.trainings), (task, claim)
        for claim in wanted:  # what all sets share has no part in a difference
            assert sum(claim.contrast.values()) == 0
    for claim in (*BALANCE, *OURS):
        assert set(claim.contrast) <= set(PLANS["aligner"].trainings)
        assert sum(claim.contrast.values()) == 0


def test_balance_is_asked_of_the_score_it_speaks_of():
    repaired = np.full((3, 40), 5.0)
    repaired[:, 4::5] -= 3.0  # QS 6
    found = every_set(**{"OTFM-b": repaired})
    gaps = {text: row["better by, mm"].value for text, row in tried(found).items()}
    assert gaps["a balanced set is better on QS 6"] == pytest.approx(3.0)
    assert gaps["OTFM-b is better over all scores"] == pytest.approx(0.6)
    assert gaps["synthesis: OTFM-b beats oversampled"] == pytest.approx(3.0)
    assert gaps["exposure: oversampled beats OTFM-s"] == pytest.approx(0.0)
    without = found[found["quality"] != 6]
    assert "a balanced set is better on QS 6" not in tried(without)
    assert "OTFM-b is better over all scores" in tried(without)


def test_the_papers_numbers_agree_among_its_tables():
    for papers in (plan.papers for plan in PLANS.values()):
        assert set(paper_errors(*papers)) == set(MIXES)
    for three, two in (
        (paper_tables.TABLE_3, paper_tables.TABLE_2),
        (paper_tables.TABLE_6, paper_tables.TABLE_5),
    ):
        for real in ("100% real", "50% real"):
            assert three["+25% OTFM"][real] == two["OTFM"][f"{real} + 25% synth"]
    assert (
        paper_tables.TABLE_4["100% real"]["overall"]
        == paper_tables.TABLE_3["real only"]["100% real"]
    )
    for places in (*paper_tables.TABLE_5.values(), *paper_tables.TABLE_6.values()):
        for cd, accuracy, completeness in places.values():
            assert cd == pytest.approx((accuracy + completeness) / 2, abs=0.0051)
    assert set_name("OTFM", "50% real + 25% synth") == "50% real + 25% OTFM"


def test_the_papers_differences_limit_the_margins():
    found = claims(every_set())
    scarce = found["primary"]["25% OTFM helps 9 real"]
    assert scarce["in the paper"] == pytest.approx(21.63)  # of half of its skulls
    assert scarce["margin"] == 1.0
    alone = found["primary"]["OTFM is better than DDPM alone"]
    assert alone["margin"] == pytest.approx(0.4)  # half of 0.8
    worse = found["primary"]["OTFM alone is no worse than 100% real"]
    assert worse["in the paper"] == pytest.approx(-0.36) and worse["margin"] == 1.0
    assert found["primary"]["a balanced set is better on QS 6"]["margin"] == 3.0
    assert found["secondary"]["and helps 50% real more"]["in the paper"] == (
        pytest.approx(21.16)
    )
    assert found["further"][OURS[0].text]["in the paper"] is None
    assert found["further"][OURS[0].text]["power"] is None


def test_every_tried_claim_of_the_paper_has_a_conclusion_and_its_power():
    noise = {name: noisy(i, 5.0, 3.0) for i, name in enumerate(PLAN.trainings)}
    found = claims(table(noise))
    rows = {**found["primary"], **found["secondary"]}
    assert len(rows) == len(CLAIMS)
    for row in rows.values():
        assert row["conclusion"] in "confirmed refuted equivalent undecided".split()
        assert row["power"].endswith("%") and row["trainings"] == 3
    large = rows["25% OTFM helps 50% real"]["power"]  # 21.63 mm in the paper
    assert large == "100%" != rows["OTFM-b is better over all scores"]["power"]


def test_a_claim_that_was_not_tried_is_listed_as_that():
    some = table({"100% real": 6.0, "100% real + 25% OTFM": noisy(1, 5.0)})
    rows = rows_of(some)
    assert [row["conclusion"] for row in rows.values()].count("not tried") == 10
    assert list(tried(some)) == ["25% OTFM helps 100% real"]
    other = rows["OTFM is better than DDPM alone"]
    assert list(other.values()) == [None, pytest.approx(0.8), "not tried"]
    assert claim_tables.outcomes(claims(some)) == {
        text: row["conclusion"] for text, row in rows.items()
    }


def test_one_training_decides_nothing():
    noise = {name: noisy(i, 5.0 + i) for i, name in enumerate(PLAN.trainings)}
    one = table(noise)
    rows = rows_of(one[one["seed"] == 0])
    assert {row["conclusion"] for row in rows.values()} == {"undecided: one training"}
    assert {row["p"] for row in rows.values()} == {None}


def test_sets_are_compared_by_the_seeds_that_they_share():
    real = table({"100% real": noisy(0, 6.0, seeds=5)}, seeds=(0, 1, 2, 7, 9))
    mixed = table({"100% real + 25% OTFM": noisy(1, 5.0, seeds=2)}, seeds=(7, 1))
    more = pd.concat([real, mixed])
    both = more[more["seed"].isin([1, 7])]
    (row,), (same,) = tried(more).values(), tried(both).values()
    assert row == same and row["trainings"] == 2
    rows = tables.over_seeds(more, "raw")
    assert list(rows["100% real + 25% OTFM"]) == ["seed 1", "seed 7"]
    assert list(rows["100% real"])[-1] == "seed 9"
    apart = more[(more["seed"] == 7) == (more["set"] == "100% real")]
    assert not tried(apart)


def test_the_caption_says_whether_generators_are_covered():
    assert "no interval covers" in claim_tables.chance_of_generators(every_set())
    turns = table({"100% real": noisy(0, 5.0)}, turns=3)
    assert "cover 3 trainings" in claim_tables.chance_of_generators(turns)
