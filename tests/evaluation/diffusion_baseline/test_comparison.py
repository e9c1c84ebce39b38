"""The plan of the comparison, its tables and its figures."""

import pandas as pd
import pytest

from skfm_lib.evaluation.diffusion_baseline import results
from skfm_lib.evaluation.diffusion_baseline.comparison import (
    MEASURED,
    SAMPLING,
    TRAINING,
    along,
)
from skfm_lib.evaluation.diffusion_baseline.trainings import MODELS, Plan, Training
from skfm_lib.evaluation.held_out import FAILED
from skfm_lib.generation import LABELS, Sampler
from skfm_lib.study import open_study
from skfm_lib.utils.errors import SkfmError

GIVEN = {
    "seeds": [0, 1, 2],
    "training_steps": [20, 10],
    "sampling_steps": [8, 2, 4],
    "steps": 4,
    "starts": [300, 270],
    "timesteps": 300,
}
PLAN = Plan(**GIVEN)
REFERENCE = dict.fromkeys(MEASURED, 0.01)


def points(value=lambda model, seed, training, sampling: 1.0):
    """A table as `compare_steps` returns it, of made-up values."""
    rows = []
    for seed in PLAN.seeds:
        for model in MODELS:
            for training, sampling in PLAN.points:
                about = {"model": LABELS[model], "seed": seed}
                found = value(model, seed, training, sampling)
                steps = {TRAINING: training, SAMPLING: sampling}
                rows.append({**about, **steps, **dict.fromkeys(MEASURED, found)})
    return pd.DataFrame(rows)


def test_every_point_is_sampled_once():
    assert PLAN.points == [(10, 4), (20, 4), (20, 2), (20, 8)]
    assert MODELS == ("otfm", "ddpm", "ddpm-v")


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({"seeds": []}, "no seeds"),
        ({"training_steps": []}, "no training_steps"),
        ({"training_steps": [0, 5]}, "training steps 0"),
        ({"sampling_steps": [8, 301]}, "301 diffusion steps"),
        ({"steps": 0}, "0 diffusion steps"),
        ({"starts": [301]}, "4 diffusion steps from 1.00"),
        ({"starts": [3]}, "4 diffusion steps from 0.01"),
    ],
)
def test_impossible_plans_are_refused(change, found):
    with pytest.raises(SkfmError, match=found):
        Plan(**{**GIVEN, **change})


def test_an_axis_holds_its_own_points():
    table = points()
    trained, sampled = (along(table, axis, PLAN) for axis in (TRAINING, SAMPLING))
    assert set(trained[SAMPLING]) == {4} and set(trained[TRAINING]) == {10, 20}
    assert set(sampled[TRAINING]) == {20} and set(sampled[SAMPLING]) == {2, 4, 8}
    assert len(trained) == 3 * 3 * 2 and len(sampled) == 3 * 3 * 3
    # S of the training axis need not be one of the sampling axis.
    other = Plan(**{**GIVEN, "sampling_steps": [2]})
    assert set(along(table, SAMPLING, other)[SAMPLING]) == {2}


def test_the_table_shows_the_median_and_every_seed():
    # One wild training does not move the median.
    table = points(lambda model, seed, *_: [3.0, 2.0, 2190.0][seed])
    rows = results.table(along(table, TRAINING, PLAN), TRAINING, REFERENCE)
    assert len(rows) == 3 * 4
    assert str(rows["FID ↓, DDPM-v"]["10"]) == "3 (3, 2, 2.19e+03)"
    assert list(rows["FID ↓, OTFM"]) == ["10", "20"]
    assert rows["FID ↓, real skulls"] == {"reference": 0.01}


@pytest.mark.parametrize("axis", [TRAINING, SAMPLING])
def test_the_figure_has_a_dot_for_every_seed(axis):
    table = along(points(lambda m, seed, *_: (1 + seed) / 10), axis, PLAN)
    figure = results.step_curves(table, axis, REFERENCE)
    assert [panel.get_title() for panel in figure.axes] == list(MEASURED)
    for panel in figure.axes:
        dots = sum(len(c.get_offsets()) for c in panel.collections)
        assert dots == len(table)
        *medians, reference = panel.lines
        assert len(medians) == 3 and set(reference.get_ydata()) == {0.01}
        for line in medians:
            assert set(line.get_ydata()) == {0.2}
    assert figure.axes[2].get_ylim() == (0, 1.02) and FAILED == MEASURED[2]


def errors():
    """Of two seeds of two models, with three times."""
    seed = lambda scale: pd.DataFrame(  # noqa: E731
        {
            "t": [0.5, 0.9, 1.0],
            "signal": [0.7, 0.1, 0.001],
            "target": [scale, scale, scale],
            "free": [scale, 2 * scale, 1000 * scale],
            "clamped": [scale, scale, 3 * scale],
        }
    )
    names = [f"{m}, seed {s}" for m in ("DDPM", "DDPM-v") for s in (0, 1)]
    return {name: seed(0.1 * (1 + i)) for i, name in enumerate(names)}


def test_the_last_times_come_first_in_the_table():
    rows = results.last_times(errors(), 2)
    assert list(rows) == [
        f"{m}, t = {t}" for m in ("DDPM", "DDPM-v") for t in ("1", "0.9")
    ]
    assert rows["DDPM, t = 1"]["√ᾱ"] == 0.001
    assert rows["DDPM, t = 1"]["x̂₀ free"].values == pytest.approx((100, 200))
    assert rows["DDPM-v, t = 0.9"]["x̂₀ clamped"].values == pytest.approx((0.3, 0.4))


def test_the_errors_are_drawn_free_and_clamped():
    figure = results.error_curves(errors())
    free, clamped = figure.axes
    assert len(free.lines) == len(clamped.lines) == 5  # four seeds, the data's spread
    assert free.lines[0].get_ydata()[-1] == pytest.approx(100)
    assert clamped.lines[0].get_ydata()[-1] == pytest.approx(0.3)
    labels = [text.get_text() for text in free.get_legend().get_texts()]
    assert labels == ["DDPM", "DDPM-v", "spread of the data"]


def test_a_training_has_the_sampler_of_the_paper(project):
    stage = open_study("new", "tiny").stage("16_experiments", {})
    assert Training(stage, "ddpm-v", 1).name == "DDPM-v, seed 1"
    assert Training(stage, "otfm", 1).sampler(8) == Sampler("euler", 8)
    lower = Training(stage, "ddpm-v", 1).sampler(8, 0.5)
    assert lower == Sampler("ancestral", 8, start=0.5)
