"""Learning curves: nested sets, equal steps, and numbers with a known answer."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from skfm_lib.data.manifest import Skull
from skfm_lib.data.phantom_set import PAPER_TRAIN
from skfm_lib.presets import preset
from skfm_lib.tasks.experiments import learning_curve, training_set
from skfm_lib.tasks.experiments.figures import curve_plot
from skfm_lib.tasks.experiments.mixes import Mix, counts
from skfm_lib.utils.errors import SkfmError

REAL = [
    Skull(f"qs{q}-{i:03d}", "train", q, f"{q}-{i}.nii.gz", "", 4.0)
    for q, n in PAPER_TRAIN.items()
    for i in range(n)
]
SETTINGS = preset("quick").aligner.but(steps=100, batch=6)


def frame(errors):
    """Errors of sets: name → (seeds, skulls), as those of training and of the test."""
    rows = [
        (name, seed, len(row), f"skull-{i}", error)
        for name, values in errors.items()
        for seed, row in enumerate(values)
        for i, error in enumerate(row)
    ]
    return pd.DataFrame(rows, columns=["set", "seed", "skulls", "name", "raw"])


def curve(test, training):
    return learning_curve.curve(test, training, SETTINGS, "raw")


@pytest.mark.parametrize("seed", [0, 1])
def test_sets_are_nested_in_the_papers_mix_and_drawn_by_the_seed(seed):
    names = ["9 real", "36 real", "138 real", "100% real"]
    drawn = [training_set(name, REAL, {}, seed) for name in names]
    assert [len(skulls) for skulls in drawn] == [9, 36, 138, 726]
    for few, more in zip(drawn, drawn[1:]):
        assert set(few) < set(more)
    for skulls in drawn:
        for quality, n in counts(skull.quality for skull in skulls).items():
            assert abs(n - PAPER_TRAIN[quality] * len(skulls) / 726) < 1
    assert drawn[0] != training_set("9 real", REAL, {}, seed + 1)
    half = set(training_set("50% real", REAL, {}, seed))
    assert set(drawn[2]) < half < set(drawn[3])


def test_a_number_of_all_skulls_has_a_name_of_its_own():
    assert Mix(number=0).real_counts({2: 3}, {2: 3}) == {2: 0}
    for number in (726, 727):
        found = f"a set of {number} real skulls; expected fewer than all 726"
        with pytest.raises(SkfmError, match=found):
            training_set(f"{number} real", REAL, {}, 0)
    with pytest.raises(SkfmError, match="no training set '0 real'"):
        training_set("0 real", REAL, {}, 0)


def test_a_curve_is_of_the_sets_of_real_skulls_and_their_common_seeds():
    grid = {"100% real": [0, 1, 2], "9 real": [2, 1], "OTFM-b": [0], "blurred": [0]}
    assert learning_curve.curve_sets(grid) == ["100% real", "9 real"]
    assert learning_curve.common_seeds(grid) == [1, 2]
    for few in ({"100% real": [0]}, {"OTFM-b": [0], "100% OTFM": [0]}):
        assert not learning_curve.curve_sets(few)
        assert not learning_curve.common_seeds(few)


def test_made_up_errors_give_the_known_contrast():
    rng = np.random.default_rng(0)
    skulls, seeds = rng.normal(0, 2, (1, 40)), np.array([[-1.0], [0.0], [1.0]])
    test = frame({"100% real": np.full((3, 40), 5.0), "36 real": 9 + skulls + seeds})
    training = frame({"100% real": np.full((3, 8), 4.0), "36 real": np.full((3, 4), 3)})
    rows = curve(test, training)
    assert list(rows) == ["36 real", "100% real"]
    few, every = rows.values()
    assert [few["skulls"], every["skulls"]] == [4, 8]  # as were trained on
    assert few["passes"] == 100 * 6 / 4 and every["passes"] == 100 * 6 / 8
    gain = few["100% real closer by"]
    assert gain.value == pytest.approx(4 + skulls.mean())
    error = np.hypot(skulls.std(ddof=1) / np.sqrt(40), 1 / np.sqrt(3))
    exact = error**4 / ((1 / 3) ** 2 / 2 + (skulls.var(ddof=1) / 40) ** 2 / 39)
    freedom = np.sqrt(exact * 2)  # with that of the seeds
    reach = stats.t.ppf(0.975, freedom) * error
    assert gain.high - gain.value == pytest.approx(reach)
    assert few["gap"].value == pytest.approx(6 + skulls.mean())
    reach = stats.t.ppf(0.975, 2) / np.sqrt(3)
    assert few["gap"].high - few["gap"].value == pytest.approx(reach)
    assert (
        few["training"] == (3, 3, 3) and few["test"].low < few["test"].value - reach / 2
    )
    assert every["gap"] == (1, 1, 1) and "100% real closer by" not in every


def test_further_seeds_of_a_set_are_left_out():
    test = frame({"100% real": [[5.0, 7], [5, 9], [0, 0]], "9 real": [[9, 9], [9, 9]]})
    training = frame({"100% real": [[4.0, 4], [6, 6]], "9 real": [[3.0], [3]]})
    rows = curve(test, training)
    assert rows["100% real"]["test"].value == 6.5
    assert rows["9 real"]["100% real closer by"].value == 2.5
    one = curve(test, training[training["seed"] == 0])
    assert one["9 real"]["100% real closer by"].value == 3
    assert one["100% real"]["gap"] == (2, 2, 2)


def test_the_figure_has_a_dot_for_each_seed_and_the_mean():
    lines = {"test": {9: [8.0, 6.0], 726: [3.0, 5.0]}, "training": {9: [1.0, 1.0]}}
    axis = curve_plot(lines).axes[0]
    assert axis.get_xscale() == "log" and axis.get_ylim()[0] == 0
    assert [label.get_text() for label in axis.get_xticklabels()] == ["9", "726"]
    means, *dots = axis.lines[:3]
    assert means.get_ydata().tolist() == [7, 4]
    assert [d.get_ydata().tolist() for d in dots] == [[8, 6], [3, 5]]
    assert len(axis.get_legend().get_texts()) == 2
