"""Training sets: the paper's numbers, seeded, and without a skull that tests."""

from collections import Counter
from dataclasses import replace

import pytest

from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.tasks.experiments.training_sets import (
    MIXES,
    mix_of,
    needed,
    training_set,
)
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
    for model, counts in needed(list(MIXES), PAPER_TRAIN).items()
}


def drawn(name, seed=0):
    return training_set(name, REAL, MADE, seed)


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
