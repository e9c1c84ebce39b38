"""Differences, tables and figures of made-up results."""

import numpy as np
import pandas as pd
import pytest
import torch

from skfm_lib.evaluation import table1_columns
from skfm_lib.evaluation.held_out import COLUMNS, FAILED, FID, PR
from skfm_lib.evaluation.levers import comparison, figures, over_seeds
from skfm_lib.evaluation.levers.comparison import Result
from skfm_lib.evaluation.levers.models import Model
from skfm_lib.metrics import Interval, Share
from skfm_lib.presets import preset

TINY = preset("tiny")


def features(seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(24, 4)) + shift


def result(failed, seed=1, shift=0.0):
    values = {**dict.fromkeys(COLUMNS, 0.5), FAILED: float(np.mean(failed))}
    columns = table1_columns.compare(features(0), features(seed, shift), 0, n=8)
    return Result(values, np.asarray(failed), columns, {"training steps": 8})


def test_a_row_has_costs_measures_and_an_interval_of_the_failures():
    row = result([True] * 6 + [False] * 18).row
    assert list(row)[:2] == ["training steps", "skulls"] and row["skulls"] == 24
    assert isinstance(row[FAILED], Share) and row[FAILED].value == 0.25
    assert 0 < row[FAILED].low < 0.25 < row[FAILED].high < 1
    assert set(COLUMNS) < set(row)


def test_differences_are_from_the_first_result():
    base = result([True] * 12 + [False] * 12)
    far = result([True] * 2 + [False] * 22, seed=1, shift=3.0)
    models = Model("otfm"), Model("otfm", "copied"), Model("otfm", "Muon")
    found = comparison.differences(dict(zip(models, (base, far, base))))
    assert list(found) == ["OTFM + copied", "OTFM + Muon"]
    row = found["OTFM + copied"]
    assert list(row) == [FAILED, FID, "IR ↑", PR]
    assert row[FAILED].value == pytest.approx(-10 / 24) and row[FAILED].high < 0
    assert row[FID].low > 0  # the same noise, moved
    same = found["OTFM + Muon"]
    assert same[FAILED].low < 0 < same[FAILED].high
    assert tuple(same[FID]) == (0, 0, 0)


def test_flops_are_of_the_network_and_leave_random_numbers_alone():
    before = torch.random.get_rng_state()
    shape = TINY.vqvae.latent_shape
    one = comparison.step_flops(TINY.denoiser, shape)
    two = comparison.step_flops(TINY.denoiser.but(batch=16), shape)
    assert two == pytest.approx(2 * one, rel=0.01) and one > 1e8
    assert torch.equal(torch.random.get_rng_state(), before)


def points():
    rows = []
    for model, shift in (("ours", 0.0), ("ours − copied", 1.0)):
        for seed in (0, 1, 2):
            values = dict.fromkeys(COLUMNS, seed + shift)
            rows.append({"model": model, "seed": seed, **values})
    return pd.DataFrame(rows)


def test_every_seed_is_shown_with_the_median():
    table = over_seeds.seed_table(points())
    assert str(table["ours"][FID]) == "1 (0, 1, 2)"
    gaps = over_seeds.seed_gaps(points(), Model("ours"))
    assert list(gaps) == ["ours − copied"]
    assert gaps["ours − copied"][PR].values == (1, 1, 1)


def test_the_figure_of_differences_has_a_line_for_each_model():
    row = {FAILED: Interval(-0.1, -0.2, 0.0), FID: Interval(1.0, 0.5, 1.5)}
    figure = figures.difference_plot({"a": row, "b": row})
    assert [panel.get_title() for panel in figure.axes] == [FAILED, FID]
    assert all(len(panel.lines) == 2 * 2 + 1 for panel in figure.axes)
    assert [t.get_text() for t in figure.axes[0].get_yticklabels()] == ["a", "b"]


def test_the_figure_of_stopping_has_a_dot_for_every_seed():
    rows = [
        {"seed": seed, over_seeds.STEPS: step, FID: 9.0, PR: 0.5, FAILED: seed / 2}
        for seed in (0, 1, 2)
        for step in (8, 16)
    ]
    real = {FID: 2.0, PR: 0.9, FAILED: 0.02}
    figure = figures.stopping_curves(pd.DataFrame(rows), real)
    for panel, name in zip(figure.axes, figures.STOPPING):
        (dots,), (line, dashed) = panel.collections, panel.lines
        assert len(dots.get_offsets()) == 6 and len(line.get_ydata()) == 2
        assert set(dashed.get_ydata()) == {real[name]}


def test_a_gallery_has_as_many_skulls_of_each_set(phantoms):
    some = figures.random_skulls(phantoms, 3, 0)
    assert len(figures.random_skulls(phantoms, 99, 0)) == len(phantoms)
    figure = figures.gallery({"ours": some, "held out": some}, phantoms.grid)
    shown = [axis for axis in figure.axes if axis.images]
    assert len(shown) == 6
    assert [axis.get_ylabel() for axis in figure.axes[::3]] == ["ours", "held out"]
