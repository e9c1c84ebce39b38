"""Training sets: the paper's numbers, seeded, and without a skull that tests."""

from collections import Counter
from dataclasses import replace

import pytest

from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.tasks.experiments import PLANS
from skfm_lib.tasks.experiments.mixes import MIXES, Mix, mix_of, seeds_of
from skfm_lib.tasks.experiments.training_sets import needed, training_set
from skfm_lib.utils.errors import SkfmError


def skulls(counts, kind="real", split="train"):
    return [
        Skull(f"{kind}-qs{q}-{i:04d}", split, q, f"{kind}{q}{i}.nii.gz", "", 4.0)
        for q, n in counts.items()
        for i in range(n)
    ]


REAL = skulls(PAPER_TRAIN)
MADE = {
    model: skulls(counts, model)
    for model, counts in needed([*MIXES, "100% ours"], PAPER_TRAIN).items()
}
BASE = 138


def drawn(name, seed=0, base=None):
    return training_set(name, REAL, MADE, seed, base)


def scores(chosen):
    return dict(sorted(Counter(skull.quality for skull in chosen).items()))


def kinds(chosen):
    return Counter(skull.name.split("-")[0] for skull in chosen)


@pytest.mark.parametrize(
    ("name", "real", "made"),
    [
        ("100% real", 726, {}),
        ("100% DDPM", 0, {"ddpm": 726}),
        ("100% OTFM", 0, {"otfm": 726}),
        ("100% real + 25% DDPM", 726, {"ddpm": 182}),  # 908
        ("100% real + 25% OTFM", 726, {"otfm": 182}),
        ("50% real", 363, {}),
        ("50% real + 25% DDPM", 363, {"ddpm": 182}),  # 545
        ("50% real + 25% OTFM", 363, {"otfm": 182}),
        ("OTFM-s", 726, {"otfm": 334}),  # 1060
        ("OTFM-b", 726, {"otfm": 334}),
    ],
)
def test_the_sets_have_the_papers_numbers(name, real, made):
    wanted = {"real": real, **made}
    assert kinds(drawn(name)) == {k: n for k, n in wanted.items() if n}


def test_balanced_is_212_of_every_score_and_stratified_is_the_real_mix():
    scores = Counter(skull.quality for skull in drawn("OTFM-b"))
    assert scores == dict.fromkeys((2, 3, 4, 5, 6), 212)
    scores = Counter(skull.quality for skull in drawn("OTFM-s"))
    for quality, n in PAPER_TRAIN.items():
        assert scores[quality] / 1060 == pytest.approx(n / 726, abs=1e-3)


def test_half_is_stratified_drawn_by_the_seed_and_shared_by_sets():
    half = drawn("50% real")
    scores = Counter(skull.quality for skull in half)
    assert all(abs(scores[q] - n / 2) <= 1 for q, n in PAPER_TRAIN.items())
    assert half == drawn("50% real") != drawn("50% real", seed=1)
    for model in ("DDPM", "OTFM"):
        assert drawn(f"50% real + 25% {model}")[: len(half)] == half


def test_no_skull_twice_and_smaller_synthetic_parts_are_within_larger_ones():
    for name in MIXES:
        names = [skull.name for skull in drawn(name)]
        assert len(names) == len(set(names))
    every, quarter = drawn("100% OTFM"), drawn("100% real + 25% OTFM")
    assert {s.name for s in quarter if s.name.startswith("otfm")} <= {
        s.name for s in every
    }


def test_it_scales_with_the_skulls_there_are():
    few = skulls({2: 9, 3: 12, 4: 8, 5: 9, 6: 2})
    made = {"otfm": skulls(needed(["OTFM-b"], Counter(s.quality for s in few))["otfm"])}
    assert len(training_set("OTFM-b", few, made, 0)) == 60
    assert needed(["100% real", "50% real"], PAPER_TRAIN) == {}


def test_test_skulls_never_enter():
    for side in ("test", "validation"):
        mixed = [*REAL[:-1], replace(REAL[-1], split=side)]
        with pytest.raises(SkfmError, match="not for training"):
            training_set("100% real", mixed, {}, 0)
    leaking = {"otfm": [Skull(**{**vars(s), "split": "test"}) for s in MADE["otfm"]]}
    for name in ("100% OTFM", "OTFM-b"):
        with pytest.raises(SkfmError, match="not for training"):
            training_set(name, REAL, leaking, 0)


def test_what_is_missing_is_said():
    with pytest.raises(SkfmError, match="75% real.*one of 100% real"):
        mix_of("75% real")
    with pytest.raises(SkfmError, match="182 of 182 skulls of otfm are missing"):
        training_set("50% real + 25% OTFM", REAL, {}, 0)
    few = {"otfm": MADE["otfm"][:-10]}
    with pytest.raises(SkfmError, match="10 of 334"):
        training_set("OTFM-b", REAL, few, 0)


def test_a_base_is_the_number_that_shares_are_of():
    every = drawn("100% real", base=BASE)
    assert len(every) == BASE and set(every) == set(drawn("138 real"))
    assert len(drawn("all real", base=BASE)) == 726
    assert len(drawn("9 real", base=BASE)) == 9
    half = drawn("50% real", base=BASE)
    assert len(half) == 69 and set(half) < set(every)
    assert drawn("100% real", seed=1, base=BASE) != every
    assert kinds(drawn("50% real + 25% OTFM", base=BASE)) == {"real": 69, "otfm": 34}
    assert kinds(drawn("9 real + 25% OTFM", base=BASE)) == {"real": 9, "otfm": 34}
    assert kinds(drawn("100% ours", base=BASE)) == {"ours": BASE}
    most = max(scores(every).values())
    assert scores(drawn("OTFM-b", base=BASE)) == dict.fromkeys(range(2, 7), most)
    assert needed(["100% OTFM"], PAPER_TRAIN, BASE)["otfm"] == scores(every)
    with pytest.raises(SkfmError, match="727 skulls as 100% real; expected at most"):
        drawn("100% real", base=727)


def test_controls_of_balance_have_its_composition_by_real_skulls():
    balanced = drawn("OTFM-b", base=BASE)
    real = set(drawn("100% real", base=BASE))
    repeated, mirrored = (drawn(n, base=BASE) for n in ("oversampled", "mirrored"))
    assert scores(repeated) == scores(mirrored) == scores(balanced)
    assert set(repeated) == real
    times = Counter(skull.name for skull in repeated if skull.quality == 6)
    assert max(times.values()) - min(times.values()) <= 1  # in turn
    images = [s.name for s in mirrored if s.name.startswith("mirrored/")]
    assert len(images) == len(balanced) - BASE
    assert {name.removeprefix("mirrored/") for name in images} <= {
        skull.name for skull in real
    }


def test_skulls_that_failed_may_be_fewer():
    failed = {"ddpm failed": skulls({2: 7, 3: 60, 4: 3}, "ddpm")}
    chosen = training_set("failed DDPM", REAL, failed, 0, BASE)
    assert scores(chosen) == {2: 7, 3: 40, 4: 3}  # as many of QS 3 as are wanted
    few = {"ddpm failed": skulls({2: 8}, "ddpm")}
    with pytest.raises(SkfmError, match="1 of 9 skulls of ddpm failed are missing"):
        training_set("failed DDPM", REAL, few, 0, BASE)


def test_what_a_mix_is_made_of():
    assert mix_of("9 real + 25% OTFM") == Mix(1.0, "otfm", 0.25, number=9)
    assert mix_of("mirrored").generator == "" != mix_of("100% ours").generator
    real = [n for n in PLANS["aligner"].trainings if mix_of(n).only_real]
    assert real == ["100% real", "9 real", "all real", "50% real"]
    assert mix_of("failed DDPM").source == "ddpm failed"
    assert seeds_of(["all", "9 real"], [0, 1]) == dict.fromkeys(
        [*MIXES, "9 real"], [0, 1]
    )
