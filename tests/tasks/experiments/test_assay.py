"""Negative controls: when a chapter may say that its comparisons can tell."""

import numpy as np
import pytest
import torch
from made_errors import noisy, table

from skfm_lib.data.point_clouds import load_clouds
from skfm_lib.study import open_study
from skfm_lib.tasks.experiments import ALIGNMENT, Experiments, SkullPool, assay
from skfm_lib.tasks.experiments.assay import CONTROLS
from skfm_lib.tasks.experiments.grid import Grid
from skfm_lib.utils.device import Device

WORSE = {name: noisy(i, 9.0) for i, name in enumerate(CONTROLS)}
REAL = {"100% real": noisy(9, 5.0)}
NAMES = ("100% real", *CONTROLS)
GRID = Grid({name: [0, 1, 2] for name in NAMES})


@pytest.fixture
def doubled(project, phantoms, tmp_path, monkeypatch):
    """Doubles the steps of controls; the longer trainings' errors are made up."""
    clouds = load_clouds(phantoms, tmp_path)
    pool = SkullPool(phantoms, ({},), clouds, clouds, phantoms)
    study = open_study("doubled", "tiny")
    settings = study.settings.aligner.but(steps=100)
    runs = Experiments(
        study, ALIGNMENT, settings, Device(torch.device("cpu"), torch.float32)
    )

    def double(rows, errors):
        tried = {}

        def run(self, pool, trainings):
            tried.update({name: list(seeds) for name, seeds in trainings.items()})
            assert self.settings.steps == 200
            return table({name: errors[name] for name in trainings})

        monkeypatch.setattr(Experiments, "run", run)
        return assay.with_doubled_steps(runs, pool, rows, "raw"), tried

    return double


def test_controls_that_are_worse_separate():
    rows = assay.controls(table(REAL | WORSE), "raw", 100)
    assert [row["set"] for row in rows.values()] == list(CONTROLS)
    assert {row["separates"] for row in rows.values()} == {"yes"}
    assert all(row["worse by, mm"].value > 3 for row in rows.values())
    assert assay.sensitive(rows) and assay.note(rows, GRID) == ""
    assert assay.statement(rows).startswith("This assay is sensitive: 9 real is worse")
    part = assay.note(rows, GRID._replace(left=4))
    assert part == "A part of the plan, 4 trainings are left. "


@pytest.mark.parametrize("level", [5.0, 1.0])
def test_one_that_is_not_worse_makes_the_assay_insensitive(level):
    errors = REAL | WORSE | {"blurred": noisy(20, level)}
    rows = assay.controls(table(errors), "raw", 100)
    assert assay.unseparated(rows) == ["blurred"] and not assay.sensitive(rows)
    text = assay.note(rows, GRID)
    assert text.startswith("This assay is not sensitive: blurred is worse than 100% ")
    figure = rows["blurred, 100 steps"]["worse by, mm"]
    assert f"by {figure} mm (100 steps). " in text and "9 real" not in text


def test_what_does_not_separate_is_trained_for_twice_the_steps(doubled):
    errors = REAL | WORSE | {"blurred": noisy(20, 5.0)}
    rows = assay.controls(table(errors), "raw", 100)
    more, tried = doubled(rows, REAL | {"blurred": noisy(21, 9.0)})
    assert tried == {"100% real": [0, 1, 2], "blurred": [0, 1, 2]}
    assert list(more)[-1] == "blurred, 200 steps" and list(more)[:3] == list(rows)
    assert more["blurred, 200 steps"]["separates"] == "yes"
    assert not assay.sensitive(more)  # the tables have 100 steps
    text = assay.statement(more)
    assert "(100 steps)" in text and "(200 steps)" in text
    assert assay.unseparated(more) == []
    same, tried = doubled(assay.controls(table(REAL | WORSE), "raw", 100), {})
    assert len(same) == 3 and not tried


def test_without_all_controls_the_sensitivity_is_not_known():
    rows = assay.controls(table(REAL | {"9 real": WORSE["9 real"]}), "raw", 100)
    text = assay.note(rows, GRID)
    assert "is not known: blurred, failed DDPM not trained" in text
    assert "not known" in assay.statement({})
    once = table(REAL | WORSE)
    assert assay.controls(once[once["seed"] == 0], "raw", 100) == {}
    assert assay.note({}, Grid({"100% real": [0]})).startswith(
        "Short form, one training"
    )


def test_chance_alone_rarely_separates():
    found = [
        row["separates"]
        for seed in range(60)
        for row in assay.controls(
            table({n: noisy(1000 + seed * 9 + i, 5.0) for i, n in enumerate(NAMES)}),
            "raw",
            100,
        ).values()
    ]
    assert np.mean(np.array(found) == "yes") < 0.05
