"""Train, test and validation: no skull and no patient in two, by construction."""

from collections import Counter

import numpy as np
import pytest

from skfm_lib.data import phantom_set
from skfm_lib.data.manifest import SPLITS, Skull, proportional
from skfm_lib.data.phantom_set import PAPER_TEST, PAPER_TRAIN, phantom_skulls
from skfm_lib.data.splits import (
    FEWEST,
    check_shares,
    patient_split,
    stratified_choice,
    with_validation,
)
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

MOVED = "validation", "train"
TRAIN_SEED, TEST_SEED = (
    2926792190,
    4123501779,
)  # of the first edition, without validation


def test_the_choice_is_exact_in_every_class_and_repeatable():
    total = {q: PAPER_TRAIN[q] + PAPER_TEST[q] for q in PAPER_TRAIN}
    qualities = [q for q, n in total.items() for _ in range(n)]
    chosen = stratified_choice(qualities, 182, seed=3)
    assert Counter(qualities[i] for i in chosen) == PAPER_TEST
    assert chosen == sorted(set(chosen)) == stratified_choice(qualities, 182, seed=3)
    assert chosen != stratified_choice(qualities, 182, seed=4)
    assert stratified_choice([], 0, 0) == []


def test_phantoms_of_the_splits_are_others_and_former_ones_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(phantom_set, "make_skull", lambda job: None)
    counts, shape = preset("quick").data, preset("quick").vqvae.output_shape
    validation = proportional(PAPER_TRAIN, counts.validation_skulls)
    made = phantom_skulls(
        tmp_path, shape, PAPER_TRAIN, PAPER_TEST, validation, seed=0, workers=1
    )
    numbers = {"train": 726, "test": 182, "validation": 91}
    assert Counter(skull.split for skull in made) == numbers
    for column in ("name", "file", "source"):  # the source holds the seed
        assert len({getattr(skull, column) for skull in made}) == 726 + 182 + 91
    source = {skull.name: skull.source for skull in made}
    assert source["phantom-train-qs2-0000"] == f"phantom seed {TRAIN_SEED}"
    assert source["phantom-test-qs6-0008"] == f"phantom seed {TEST_SEED}"
    fewer = phantom_skulls(tmp_path, shape, {2: 1}, {6: 9}, seed=0, workers=1)
    assert all(source[skull.name] == skull.source for skull in fewer)


@pytest.fixture(scope="module")
def patients():
    """Scans of 150 patients, some of several, two without a score."""
    rng = np.random.default_rng(0)
    owners = {f"s{n}": f"p{rng.integers(150)}" for n in range(400)}
    qualities = {name: int(rng.integers(2, 7)) for name in owners}
    return owners, qualities | {"s7": None, "s9": None}


def sides(owners, splits):
    found = {}
    for name, split in splits.items():
        if split != "unlabelled":
            found.setdefault(owners[name], set()).add(split)
    assert all(len(side) == 1 for side in found.values())
    return Counter(side for (side,) in found.values())


def test_a_patient_is_in_one_split(patients):
    owners, _ = patients
    splits = patient_split(*patients)
    assert splits["s7"] == splits["s9"] == "unlabelled" and len(splits) == 400
    found = sides(owners, splits)
    assert set(found) == set(SPLITS) - {"unlabelled"}
    assert found["test"] == round(0.2 * found.total())
    assert found["validation"] == round(0.1 * found.total()) >= FEWEST


def test_validation_is_taken_from_training_alone_and_by_default_if_it_is_enough(
    patients,
):
    owners, qualities = patients
    with_it, without = (patient_split(*patients, validation=v) for v in (None, 0))
    assert set(without.values()) == {"train", "test", "unlabelled"}
    for name, split in with_it.items():
        assert split == without[name] or (split, without[name]) == MOVED
    few = {name: q for name, q in qualities.items() if owners[name] < "p2"}
    splits = patient_split(owners, few)
    assert set(sides(owners, splits)) == {"train", "test"}


@pytest.mark.parametrize("share, count", [(None, 0), (0.1, 1), (0.5, 5)])
def test_a_share_that_is_asked_for_is_taken_of_ten_patients(share, count):
    owners = {f"s{n}": f"p{n}" for n in range(10)}
    splits = patient_split(owners, dict.fromkeys(owners, 4), validation=share)
    numbers = Counter(test=2, train=8 - count, validation=count)
    assert Counter(splits.values()) == +numbers


@pytest.mark.parametrize("shares", [(-0.1, 0.1), (0.2, -0.1), (0.2, 0.8), (0.2, 1.5)])
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(SkfmError, match="shares of .* together below 1"):
        check_shares(*shares)


def rows(patients):
    """A manifest of train and test only, with variations of the training skulls."""
    owners, _ = patients
    found = []
    for name, split in patient_split(*patients, validation=0).items():
        quality = patients[1][name]
        source = f"scan of {owners[name]}"
        found.append(Skull(name, split, quality, f"{name}.nii.gz", source, 4.0))
        if split == "train":
            about = f"derived from {name}, seed 0 {len(found)}"
            found.append(Skull(f"{name}-0", split, 2, "v.nii.gz", about, 4.0))
    return found


def test_of_a_data_set_of_train_and_test_a_part_of_train_is_held_out(patients):
    owners, _ = patients
    before = rows(patients)
    after = with_validation(before)
    assert after == with_validation(before)
    own = {skull.name: skull.split for skull in after if skull.name in owners}
    assert set(own) == set(owners)
    found = sides(owners, own)
    assert found["validation"] == round((found["train"] + found["validation"]) / 8)
    was = {skull.name: skull for skull in before}
    for skull in after:
        assert skull.split == was[skull.name].split or (
            (skull.split, was[skull.name].split) == MOVED
        )
    derived = {s.name.removesuffix("-0") for s in after if s.name not in owners}
    assert derived == {name for name, split in own.items() if split == "train"}


def test_too_few_to_hold_one_out_stay_as_they_are():
    few = [Skull(f"s{i}", "train", 5, "v", f"scan of {i}", 4.0) for i in range(4)]
    assert with_validation(few) == few
