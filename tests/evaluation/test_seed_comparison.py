"""Which model is better, and what the runs of other seeds say."""

import pytest

from skfm_lib.evaluation import seed_comparison
from skfm_lib.metrics import Interval
from skfm_lib.presets.paper_tables import TABLE_1
from skfm_lib.study import open_study


def rows(otfm, ddpm, column="FID ↓"):
    return {"OTFM": {column: Interval(*otfm)}, "DDPM": {column: Interval(*ddpm)}}


@pytest.mark.parametrize(
    ("gap", "here"),
    [
        ((-2.0, -3.0, -1.0), "OTFM"),
        ((2.0, 1.0, 3.0), "DDPM"),
        ((-1.0, -2.1, 0.1), "undecided"),
    ],
)
def test_a_difference_within_chance_is_undecided(gap, here):
    seeds = {0: rows((1.0, 0, 2), (3.0, 2, 4))}
    answer = seed_comparison.better_model({"FID ↓": Interval(*gap)}, seeds, TABLE_1)
    found = answer["FID ↓"]
    assert (found["this run"], found["paper"]) == (here, "OTFM")
    assert found["OTFM − DDPM"] == gap


def test_higher_is_better_where_the_arrow_points_up():
    better = {
        "OTFM": {"IR ↑": Interval(0.9, 0.8, 1.0), "KID ↓": Interval(0.0, 0.0, 0.0)},
        "DDPM": {"IR ↑": Interval(0.5, 0.4, 0.6), "KID ↓": Interval(1.0, 0.9, 1.1)},
    }
    gap = {"IR ↑": Interval(0.4, 0.2, 0.6), "KID ↓": Interval(-1.0, -1.1, -0.9)}
    answer = seed_comparison.better_model(gap, {0: better}, TABLE_1)
    assert {c: a["this run"] for c, a in answer.items()} == {
        "IR ↑": "OTFM",
        "KID ↓": "OTFM",
    }
    assert answer["IR ↑"]["paper"] == "OTFM"
    assert answer["KID ↓"]["paper"] == "not given"


def test_seeds_are_counted():
    runs = {
        0: rows((1.0, 0, 2), (3.0, 2, 4)),
        1: rows((4.0, 3, 5), (3.0, 2, 4)),
        2: rows((2.0, 1, 3), (3.0, 2, 4)),
    }
    gap = {"FID ↓": Interval(-2.0, -4.0, 0.5)}
    answer = seed_comparison.better_model(gap, runs, TABLE_1)
    assert answer["FID ↓"]["seeds"] == "OTFM in 2 of 3"


def test_median_and_every_seed():
    runs = {
        0: rows((1.0, 0, 2), (3.0, 2, 4)),
        1: rows((4.0, 3, 5), (3.0, 2, 4)),
        2: rows((2.5, 1, 3), (3.0, 2, 4)),
    }
    runs[1]["shortcut"] = runs[1]["OTFM"]  # only one seed has a few-step model
    found = seed_comparison.over_seeds(runs)
    assert found["OTFM"]["FID ↓"].median == 2.5
    assert str(found["OTFM"]["FID ↓"]) == "2.5 (1, 4, 2.5)"
    assert found["DDPM"]["FID ↓"].values == (3.0, 3.0, 3.0)
    assert set(found) == {"OTFM", "DDPM"}


def test_the_papers_numbers_stand_beside():
    found = seed_comparison.by_metric(rows((1.0, 0, 2), (3.0, 3, 3)), TABLE_1)
    assert found["FID ↓"] == {
        "OTFM": Interval(1.0, 0, 2),
        "DDPM": Interval(3.0, 3, 3),
        "paper: ref": 0.0012,
        "paper: DDPM": 0.073,
        "paper: OTFM": 0.0024,
    }
    assert found["MS-SSIM ↓"]["paper: OTFM"] == 0.63


def finished(run, seed, value, pairs=300, preset="tiny"):
    """A run whose last stage recorded `value`, after an upstream stage."""
    study = open_study(run, preset, seed)
    study.stage("05_generate", {"steps": 4}).finish(skulls=1)
    stage = study.stage("06_metrics", {"pairs": pairs}, after=("05_generate",))
    interval = Interval(value, value - 1, value + 1)
    stage.finish(OTFM={"FID ↓": interval})
    return stage


def test_runs_of_other_seeds_are_found(project):
    first = finished(None, 0, 1.0)
    other = finished(None, 2, 3.0)
    finished(None, 1, 2.0, pairs=100)  # other settings
    finished("tiny-seedling", 3, 4.0)  # another name
    finished(None, 4, 5.0)  # stale: its input was made again since
    open_study(None, "tiny", 4).stage("05_generate", {"steps": 8}).finish(skulls=1)
    open_study(None, "tiny", 5)  # not that far yet
    for stage in (first, other):
        found = seed_comparison.rows_of_seeds(stage)
        assert list(found) == [0, 2]
        assert found[2]["OTFM"]["FID ↓"] == Interval(3.0, 2.0, 4.0)


def test_runs_that_differ_upstream_are_left_out(project):
    first = finished("mine", 0, 1.0)
    finished("mine-seed1", 1, 2.0)
    changed = open_study("mine-seed2", "tiny", 2)
    changed.stage("05_generate", {"steps": 8}).finish(skulls=1)
    stage = changed.stage("06_metrics", {"pairs": 300}, after=("05_generate",))
    stage.finish(OTFM={"FID ↓": Interval(9.0, 8.0, 10.0)})
    assert list(seed_comparison.rows_of_seeds(first)) == [0, 1]
    assert list(seed_comparison.rows_of_seeds(stage)) == [2]


def test_a_run_with_one_more_model_is_alike_in_what_both_have(project):
    first = finished("mine", 0, 1.0)
    richer = open_study("mine-seed1", "tiny", 1)
    richer.stage("05_generate", {"steps": 4}).finish(skulls=1)
    richer.stage("13_train_shortcut", {}, after=("05_generate",)).finish()
    both = ("05_generate", "13_train_shortcut")
    stage = richer.stage("06_metrics", {"pairs": 300}, after=both)
    stage.finish(OTFM={"FID ↓": Interval(2.0, 1.0, 3.0)})
    assert list(seed_comparison.rows_of_seeds(first)) == [0, 1]
    assert list(seed_comparison.rows_of_seeds(stage)) == [0, 1]
