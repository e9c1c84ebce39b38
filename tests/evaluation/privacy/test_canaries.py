"""Canaries: how they are chosen, and what comes back of a toy that memorises."""

import numpy as np
import pytest

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.evaluation.privacy import canaries
from skfm_lib.evaluation.privacy.planted_copies import Altered
from skfm_lib.evaluation.privacy.spaces import CopySearch, voxel_space
from skfm_lib.presets import preset
from skfm_lib.utils.errors import SkfmError

SCORES = [2] * 40 + [3] * 50 + [6] * 10
UNUSUAL = np.random.default_rng(0).random(100)
SHAPE = preset("tiny").vqvae.output_shape


def test_doses_are_disjoint_alike_and_dealt_at_random():
    chosen = canaries.choose_canaries(SCORES, UNUSUAL, (0, 1, 10, 50), seed=3)
    assert list(chosen) == [0, 1, 10, 50]
    items = [item for own in chosen.values() for item in own]
    assert len(set(items)) == 20
    for own in chosen.values():  # 8, 10 and 2 of 20 are drawn of each score
        scores = [SCORES[item] for item in own]
        assert scores.count(2) == 2 and scores.count(3) in (2, 3)
    # Each dose has one of the four least unusual skulls of QS 2 that were drawn.
    least = sorted((i for i in items if SCORES[i] == 2), key=UNUSUAL.__getitem__)[:4]
    assert all(len(set(own) & set(least)) == 1 for own in chosen.values())
    dealt = {
        tuple(canaries.choose_canaries(SCORES, UNUSUAL, seed=seed)[50])
        for seed in range(5)
    }
    assert len(dealt) == 5


def test_a_training_set_holds_each_skull_as_often_as_its_dose():
    chosen = {0: [3, 4], 1: [5], 10: [0]}
    found = np.bincount(canaries.repeated(7, chosen), minlength=7)
    assert found.tolist() == [10, 1, 1, 0, 0, 1, 1]


@pytest.mark.parametrize("doses", [[], [1, 1]])
def test_doses_that_are_not_distinct_are_refused(doses):
    with pytest.raises(SkfmError, match="expected distinct numbers"):
        canaries.choose_canaries(SCORES, UNUSUAL, doses)


def test_too_few_skulls_and_single_values_are_refused():
    with pytest.raises(SkfmError, match="19 skulls; expected at least 20 canaries"):
        canaries.choose_canaries(SCORES[:19], UNUSUAL)
    with pytest.raises(SkfmError, match="1 finite values"):
        canaries.t_interval(np.ones(1))


def test_t_intervals_of_five_values_cover_the_mean():
    rng = np.random.default_rng(0)
    found = [canaries.t_interval(rng.normal(size=5)) for _ in range(1000)]
    covered = np.mean([one.low < 0 < one.high for one in found])
    assert covered == pytest.approx(0.95, abs=0.02)


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    folder = tmp_path_factory.mktemp("population")
    phantom_skulls(folder, SHAPE, {2: 8, 5: 8}, {2: 3, 5: 3}, seed=0, workers=1)
    train, held_out = (SkullSet(folder, split).load() for split in ("train", "test"))
    return train, held_out, CopySearch(voxel_space(), train, held_out)


def test_a_generator_that_memorises_repeated_skulls_shows_the_dose(searched):
    """It emits those of the largest dose, and shifted copies of a few others."""
    train, held_out, search = searched
    unusual = search.real.train_train.min(axis=0)
    np.fill_diagonal(unusual, np.inf)
    given = train.qualities, unusual.min(axis=1), (0, 1, 50)
    chosen = canaries.choose_canaries(*given, seed=0)
    emitted = Altered(train, chosen[50] * 2)
    found = {"voxels": search.approach(emitted, "emitted")}
    levels = {0: 1.2, 1: 1.0, 50: 0.3}
    noise = np.exp(np.random.default_rng(0).normal(0, 0.05, 5))
    losses = {f"dose {dose}": level * noise for dose, level in levels.items()}
    losses[canaries.UNSEEN] = 1.2 * np.resize(noise, 6)
    rows = canaries.dose_response(chosen, losses, found)
    assert list(rows) == ["dose 0", "dose 1", "dose 50", "validation"]
    assert rows["dose 50"]["voxels: back"] == "5 of 5"
    assert rows["dose 50"]["voxels: nearest"].value == pytest.approx(0, abs=1e-6)
    for name in ("dose 0", "dose 1"):
        assert rows[name]["voxels: back"] == "0 of 5"
        assert rows[name]["voxels: nearest"].value > 0.8
    assert rows["validation"]["voxels: nearest"].value > 0.8
    assert rows["dose 0"]["loss"].value == pytest.approx(1.2, rel=0.1)
    assert rows["dose 50"]["loss"].high < rows["dose 1"]["loss"].low
    figure = canaries.dose_figure(rows)
    assert [axis.get_title() for axis in figure.axes] == ["loss", "voxels: nearest"]


def test_an_approach_is_measured_in_units_of_the_next_training_skull(searched):
    train, held_out, search = searched
    same = search.approach(train, "train")
    assert same.train == pytest.approx(np.zeros(16), abs=1e-6)
    # A set of the training skulls comes as near to the others as training itself.
    assert same.holdout == pytest.approx(np.ones(6))
    assert same.copies.tolist() == [1] * 16
    groups = canaries.groups_of({0: [3], 10: [1, 2]}, train, held_out)
    assert list(groups) == ["dose 0", "dose 10", "validation"]
    assert (groups["dose 10"].volume(1) == train.volume(2)).all()
