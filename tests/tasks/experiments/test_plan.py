"""The plan: what is trained, counted from the table that runs it, and the page."""

import re
from pathlib import Path

import pytest

from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.tasks.experiments import (
    ALIGNMENT,
    PLANS,
    Experiments,
    chosen_grid,
    planned_grid,
)
from skfm_lib.tasks.experiments import grid as grids
from skfm_lib.tasks.experiments.assay import CONTROLS
from skfm_lib.tasks.experiments.plan import (
    DOUBLED,
    PRIMARY,
    base_of,
    passes,
    rows,
)
from skfm_lib.tasks.experiments.skull_pool import stages_of
from skfm_lib.utils.errors import SkfmError

PAGE = Path(__file__).parents[3] / "book" / "evidence_plan.md"
QUICK = preset("quick")
TRAIN = QUICK.data.train_skulls


@pytest.fixture
def study(project, monkeypatch):
    counts = {"train": {2: 167, 3: 212, 4: 154, 5: 155, 6: 38}, "test": {2: 1}}
    monkeypatch.setattr(grids, "split_counts", lambda study: counts)
    return open_study("plan", "quick")


def table_of_page():
    text = re.findall(r"<!-- trainings -->(.*)<!-- end -->", PAGE.read_text(), re.S)
    lines = [line.strip("| ").split("|") for line in text[0].strip().splitlines()[2:]]
    return {line[0].strip(): [part.strip() for part in line[1:]] for line in lines}


@pytest.mark.parametrize(("column", "task"), list(enumerate(PLANS)))
def test_the_page_lists_what_is_trained(study, column, task):
    page = {n: v[column] for n, v in table_of_page().items() if len(v) > column}
    assert {n: int(v) for n, v in page.items() if v} == dict(rows(task))
    grid = planned_grid(study, task, getattr(QUICK, task))
    assert {n: len(own) for n, own in grid.trainings.items()} == PLANS[task].trainings
    assert sum(map(len, grid.trainings.values())) == PLANS[task].total
    assert set(CONTROLS) < set(grid.trainings) and grid.shown == "all real"


def test_the_page_states_the_numbers_of_the_code():
    text = " ".join(PAGE.read_text().split())
    for task in PLANS:
        settings = getattr(QUICK, task)
        base, paper = base_of(task, settings, TRAIN), preset("paper")
        assert f"{base}" in text
        papers = passes(getattr(paper, task), paper.data.train_skulls)
        assert f"{papers:.0f} times ({task})" in text
    completer = QUICK.completer
    assert f"{passes(completer, 36):.0f} times" in text
    assert f"has {passes(completer, 9):.0f} passes" in text
    for plan in PLANS.values():
        assert f"{plan.margin:g} mm" in text and f"{plan.margin_6:g} mm" in text
    doubled = DOUBLED * (1 + len(CONTROLS))  # of 100% real and of each control
    assert f"at most {doubled} trainings of twice the steps" in text
    assert len(PRIMARY) == 4 and PLANS["aligner"].primary == PRIMARY


def test_the_base_has_the_papers_passes():
    paper = preset("paper")
    aligner = base_of("aligner", QUICK.aligner, TRAIN)
    papers = passes(paper.aligner, paper.data.train_skulls)
    assert passes(QUICK.aligner, aligner) == pytest.approx(papers, rel=0.01)
    for task in PLANS:  # the paper's own training has all skulls
        assert base_of(task, getattr(paper, task), TRAIN) == TRAIN
    assert base_of("completer", QUICK.completer, 30) == 30


def test_all_skulls_are_not_trained_on_under_two_names():
    every = PLANS["aligner"].seeds(726, 726)
    assert "all real" not in every and "100% real" in every
    few = PLANS["completer"].seeds(40, 36)
    assert "138 real" not in few and "all real" in few and "9 real" in few
    assert list(PLANS["aligner"].seeds(726, 138)) == list(PLANS["aligner"].trainings)


def test_seeds_are_shared_and_count_from_zero():
    for plan in PLANS.values():
        for seeds in plan.seeds(726, 138).values():
            assert seeds == list(range(len(seeds))) and len(seeds) >= 3


def test_a_margin_excludes_half_of_the_papers_difference():
    plan = PLANS["aligner"]
    assert plan.margin_of(None, 0.8) == 0.4 and plan.margin_of(None, 20.0) == 1.0
    assert plan.margin_of(6, 20.0) == 3.0 and plan.margin_of(None, -0.1) == 1.0


def test_a_grid_of_ones_own_has_its_first_set_shown(study):
    given = study, "aligner", QUICK.aligner, ["OTFM-b", "100% real"], [3, 4]
    grid = chosen_grid(*given, 50)
    assert (grid.shown, grid.seed, grid.base) == ("OTFM-b", 3, 50)
    assert planned_grid(study, "aligner", QUICK.aligner, 60).base == 60
    assert chosen_grid(*given, plan="all") == planned_grid(*given[:3])


def test_a_part_of_the_plan_says_what_is_left(study):
    part = planned_grid(study, "aligner", QUICK.aligner, plan="3")
    whole = planned_grid(study, "aligner", QUICK.aligner)
    assert {len(seeds) for seeds in part.trainings.values()} == {3} and not whole.left
    assert part.left + 3 * len(part.trainings) == PLANS["aligner"].total
    for wrong in ("true", "0", "-1", "1.5"):
        with pytest.raises(SkfmError, match=r"plan '.*expected 'all'.*-p plan all"):
            planned_grid(study, "aligner", QUICK.aligner, plan=wrong)


def test_what_is_finished_is_evaluated_without_training_more(study):
    for name in stages_of(PLANS["aligner"].trainings):
        study.stage(name, {}).finish()
    settings, base = QUICK.aligner, base_of("aligner", QUICK.aligner, TRAIN)
    runs = Experiments(study, ALIGNMENT, settings, base=base)
    for name, seed in (("100% real", 1), ("OTFM-b", 0)):
        runs.stage(name, seed).finish(errors={})
    grid = planned_grid(study, "aligner", settings, plan="finished")
    trained = {
        "100% real": [1],
        "OTFM-b": [0],
        "all real": [0],
    }  # the last for the tools
    assert grid.trainings == trained and grid.shown == "all real"
    assert grid.left == PLANS["aligner"].total - 3
    other = planned_grid(study, "aligner", settings, base + 1, plan="finished")
    assert other.trainings == {"all real": [0]}
