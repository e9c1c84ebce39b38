"""Comparisons of training sets: paired, over skulls and seeds, beside the paper's."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfm_lib.metrics import Interval
from skfm_lib.presets import paper_tables
from skfm_lib.tasks.experiments import MIXES, tables
from skfm_lib.tasks.experiments.statistics import (
    CLAIMS,
    better,
    conclusion,
    contrast,
    errors_of,
    mean,
)

ALIGNMENT = paper_tables.TABLE_2, paper_tables.TABLE_3, paper_tables.TABLE_4
COMPLETION = paper_tables.TABLE_5, paper_tables.TABLE_6, paper_tables.TABLE_11


def table(values, seeds=(0, 1, 2), skulls=40):
    """Errors of sets: name → a number, or (seeds, skulls) numbers."""
    rows = []
    for name, errors in values.items():
        errors = np.broadcast_to(errors, (len(seeds), skulls))
        for s, seed in enumerate(seeds):
            for i in range(skulls):
                rows.append((name, seed, f"skull-{i:03d}", 2 + i % 5, errors[s, i]))
    return pd.DataFrame(rows, columns=["set", "seed", "name", "quality", "mm"])


def claims(errors):
    return tables.claims(errors, "mm", *ALIGNMENT)


def tried(errors):
    """The claims that were tried: text → (contrast, seeds)."""
    rows = claims(errors).items()
    found = {text: (row["better by, mm"], row["seeds"]) for text, row in rows}
    return {text: (gap, seeds) for text, (gap, seeds) in found.items() if gap}


def noisy(seed, level, spread=1.0, seeds=3, skulls=40):
    return level + spread * np.random.default_rng(seed).standard_normal((seeds, skulls))


def test_errors_are_paired_by_name_whatever_the_order():
    errors = noisy(0, 5.0)
    found = table({"a": errors})
    mixed = found.sample(frac=1, random_state=1)
    assert np.array_equal(errors_of(mixed, "a", "mm"), errors)
    six = mixed[mixed["quality"] == 6]
    assert np.array_equal(errors_of(six, "a", "mm"), errors[:, 4::5])


def test_the_interval_of_a_mean_is_that_of_skulls():
    errors = noisy(0, 5.0, skulls=400)
    found = mean(errors)
    reach = 1.96 * errors.mean(0).std() / 20
    assert found.value == pytest.approx(errors.mean())
    assert found.high - found.value == pytest.approx(reach, rel=0.15)
    assert mean(errors[:, :1]).high == np.inf  # unknown


def test_what_all_sets_share_cancels_in_a_paired_difference():
    hard = noisy(3, 20.0, spread=15.0, seeds=1)  # skulls differ far more than sets
    found = table({"a": hard, "b": hard + 0.5})
    gap = contrast(found, better("a", "b"), "mm")
    assert gap.value == pytest.approx(0.5)
    assert gap.low == pytest.approx(0.5) and gap.high == pytest.approx(0.5)


def test_chance_in_training_widens_the_interval_by_students_t():
    shifts = np.array([[0.0], [1.0], [2.0]])  # b's trainings, on all skulls alike
    gap = contrast(table({"a": 5.0, "b": 5.0 + shifts}), better("a", "b"), "mm")
    reach = stats.t.ppf(0.975, 2) * 1.0 / np.sqrt(3)
    assert gap.value == pytest.approx(1.0)
    assert gap.high - gap.value == pytest.approx(reach)
    assert conclusion(gap, 3) == "undecided"


def test_intervals_of_no_difference_hold_zero_as_often_as_they_say():
    hits = [
        gap.low <= 0 <= gap.high
        for i in range(60)
        for found in [table({"a": noisy(i, 5.0), "b": noisy(900 + i, 5.0)})]
        for gap in [contrast(found, better("a", "b"), "mm")]
    ]
    assert np.mean(hits) >= 0.93


def test_conclusions_need_more_than_one_training():
    above, below, both = (Interval(0, *ends) for ends in ((1, 2), (-2, -1), (-1, 1)))
    assert (
        conclusion(above, 3) == "confirmed" and conclusion(below, 3) == "not confirmed"
    )
    assert conclusion(both, 3) == "undecided" and "one seed" in conclusion(above, 1)


def test_the_claims_follow_from_the_sets_that_were_tried():
    every = table(dict.fromkeys(MIXES, 5.0))
    assert list(tried(every)) == [claim.text for claim in CLAIMS]
    some = table({"100% real": 6.0, "100% real + 25% OTFM": 5.0})
    assert tried(some) == {"25% OTFM helps 100% real": ((1, 1, 1), 3)}
    for claim in CLAIMS:  # comparisons: what all sets share has no part in them
        assert sum(claim.contrast.values()) == 0


def test_balance_is_asked_of_the_score_it_speaks_of():
    repaired = np.full((3, 40), 5.0)
    repaired[:, 4::5] -= 3.0  # QS 6
    found = table({"OTFM-s": 5.0, "OTFM-b": repaired, "100% real": 5.0})
    gaps = {text: gap.value for text, (gap, _) in tried(found).items()}
    assert gaps["a balanced set is better on QS 6"] == pytest.approx(3.0)
    assert gaps["and better over all scores"] == pytest.approx(0.6)
    without = found[found["quality"] != 6]
    assert list(tried(without)) == ["and better over all scores"]


def test_the_papers_numbers_agree_among_its_tables():
    for papers in (ALIGNMENT, COMPLETION):
        assert set(tables.paper_errors(*papers)) == set(MIXES)
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


def test_tables_have_the_papers_places():
    found = table({name: 5.0 for name in MIXES})
    rows = tables.comparison(found, paper_tables.TABLE_3, {"mm": "mm"})
    assert rows["50% real"] == {"mm": (5, 5, 5), "paper: mm": 30.8}
    assert rows["100% real + 25% OTFM"]["paper: mm"] == 6.48
    rows = tables.comparison(
        found, paper_tables.TABLE_5, {"CD": "mm", "Acc": "mm", "Comp": "mm"}
    )
    assert list(rows["100% OTFM"].values()) == 3 * [(5, 5, 5)] + [
        3.36,
        4.09,
        2.63,
    ]
    few = table({"100% real": 5.0})
    assert (
        tables.comparison(few, paper_tables.TABLE_2, {"mm": "mm"})["100% OTFM"]["mm"]
        is None
    )
    rows = tables.by_quality(few, paper_tables.TABLE_4, "mm")
    assert rows["100% real"]["QS 6"] == (5, 5, 5) and rows["OTFM-b"]["QS 6"] is None
    assert rows["paper: OTFM-b"]["QS 6"] == 8.12
    assert tables.over_seeds(few, "mm") == {
        "100% real": {f"seed {s}": 5.0 for s in range(3)}
    }


def test_ways_of_filling_are_compared_on_their_own_set():
    errors = noisy(0, 5.0)
    one, other = (table({"100% real": e}).assign(way=w) for e, w in
                  ((errors, "completer"), (errors + 2.0, "mirror")))  # fmt: skip
    found = pd.concat([one, other, table({"OTFM-b": 9.0}).assign(way="completer")])
    found = found.rename(columns={"mm": "cd"})
    rows = tables.against(found, "100% real", "completer", "mirror")
    assert rows == {
        "completer against mirror": {"closer by, mm": pytest.approx((2, 2, 2))}
    }
    rows = tables.columns_by_quality(one, "100% real", ["mm"])
    assert rows["mm"]["overall"].value == pytest.approx(errors.mean())
    assert list(rows["mm"])[1:] == [f"QS {q}" for q in (2, 3, 4, 5, 6)]


def test_the_papers_gaps_stand_beside_the_conclusions():
    found = table({name: noisy(i, 5.0) for i, name in enumerate(MIXES)})
    rows = claims(found)
    gaps = [row["in the paper"] for row in rows.values()]
    assert len(rows) == len(CLAIMS) and all(gap > 0 for gap in gaps)  # as it claims
    assert rows["25% OTFM helps 50% real"]["in the paper"] == pytest.approx(21.63)
    assert rows["and helps 50% real more"]["in the paper"] == pytest.approx(21.16)


def test_a_claim_that_was_not_tried_is_listed_as_that():
    rows = claims(table({"100% real": 6.0, "100% real + 25% OTFM": noisy(1, 5.0)}))
    assert [row["conclusion"] for row in rows.values()].count("not tried") == 8
    assert rows["25% OTFM helps 100% real"]["conclusion"] != "not tried"
    other = rows["OTFM is better than DDPM alone"]
    assert list(other.values()) == [None, pytest.approx(0.8), None, "not tried"]


def test_sets_are_compared_by_the_seeds_that_they_share():
    real = table({"100% real": noisy(0, 6.0, seeds=5)}, seeds=(0, 1, 2, 7, 9))
    mixed = table({"100% real + 25% OTFM": noisy(1, 5.0, seeds=2)}, seeds=(7, 1))
    more = pd.concat([real, mixed])
    both = more[more["seed"].isin([1, 7])]
    ((gap, seeds),), ((same, _),) = tried(more).values(), tried(both).values()
    assert gap == same and seeds == 2
    rows = tables.over_seeds(more, "mm")
    assert list(rows["100% real + 25% OTFM"]) == ["seed 1", "seed 7"]
    assert list(rows["100% real"])[-1] == "seed 9"
    apart = more[(more["seed"] == 7) == (more["set"] == "100% real")]
    assert not tried(apart)
