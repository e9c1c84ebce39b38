"""Two runs in one figure: what both have, what one has, and what is refused."""

import pytest
import torch

from skfm_lib.evaluation import run_comparison
from skfm_lib.metrics import Interval, share
from skfm_lib.study import open_study
from skfm_lib.utils.errors import SkfmError

FID, PR, FAILED = Interval(8.0, 7.0, 9.0), Interval(0.4, 0.3, 0.5), share(3, 40)


def finish(name, losses, settings=None, results=False):
    """A run whose trainings have these losses, and chapters 6 and 7 of two models."""
    study = open_study(name, "tiny")
    study.stage("01_preprocess", settings or {}).finish()
    for stage_name, history in losses.items():
        stage = study.stage(stage_name, {}, ("01_preprocess",))
        state = dict.fromkeys(("fingerprint", "step", "model", "average"), 0)
        history = {k: torch.tensor(v) for k, v in history.items()}
        state |= {"optimiser": 0, "history": history}
        torch.save(state, stage.folder / "checkpoint.pt")
        stage.finish()
    if results:
        row = {"FID ↓": FID, "PR ↑": PR}
        study.stage("06_metrics", {"pairs": 5}).finish(OTFM=row, ours=row)
        rows = {k: {"failed generations": FAILED} for k in ("held out", "OTFM")}
        study.stage("07_failures", {}).finish(**rows)
    return study


AUTOENCODER = {"02_train_vqvae": {"reconstruction": [0.5, 0.25], "loss": [9.0, 9.0]}}
FLOW = {"03_train_otfm": {"loss": [2.0] * 150 + [1.0] * 100}}


@pytest.fixture
def runs(project):
    """A run with all of it, and a shorter one."""
    finish("a", AUTOENCODER | FLOW, results=True)
    finish("b", AUTOENCODER)


def test_what_two_runs_have_is_read(runs):
    compared = run_comparison.compare_runs("a", "b")
    a, b = compared.runs.values()
    assert a.losses["02_train_vqvae"] == b.losses["02_train_vqvae"] == [0.5, 0.25]
    assert a.measures["FID ↓"] == {"OTFM": FID, "ours": FID} and b.measures == {}
    assert a.measures["failed ↓"] == {"OTFM": FAILED}  # generated skulls only


def test_the_table_has_a_column_for_each_run(runs):
    rows = run_comparison.table(run_comparison.compare_runs("a", "b"))
    assert rows["VQ-VAE, reconstruction, mean of the last 100 steps"] == {
        "a": 0.375,
        "b": 0.375,
    }
    assert rows["OTFM, loss, mean of the last 100 steps"] == {"a": 1.0}
    assert str(rows["OTFM, failed ↓"]["a"]) == "7.5 % (2.6–20)"


def test_the_figure_has_the_losses_above_and_the_measures_below(runs):
    drawn = run_comparison.figure(run_comparison.compare_runs("a", "b"))
    above, below = ([a.get_title() for a in part.axes] for part in drawn.subfigs)
    assert above == ["VQ-VAE", "OTFM"]
    other = "\n(to other skulls, or by other features)"  # b has measured nothing
    assert below == ["FID ↓" + other, "recall (PR) ↑" + other, "failed ↓"]
    first, second = drawn.subfigs[0].axes
    assert [len(axis.lines) for axis in (first, second)] == [4, 2]
    colours = [line.get_color() for line in first.lines]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    fid = drawn.subfigs[1].axes[0]
    assert [t.get_text() for t in fid.get_xticklabels()] == ["OTFM", "ours"]


def test_distances_of_the_same_protocol_are_compared(project):
    for name in "ab":
        finish(name, {}, results=True)
    finish("c", {}, settings={"other": 1}, results=True)
    assert run_comparison.compare_runs("a", "b").alike
    assert not run_comparison.compare_runs("a", "c").alike


@pytest.mark.parametrize(
    ("pair", "found"),
    [
        (("a", "absent"), "there is no run 'absent'; expected a or b or empty"),
        (("a", "a"), "run 'a' beside itself"),
        (("empty", "a"), "'empty' has finished nothing .*next: skfm study"),
    ],
)
def test_runs_that_cannot_be_compared_are_said(runs, pair, found):
    finish("empty", {})
    with pytest.raises(SkfmError, match=found):
        run_comparison.compare_runs(*pair)


def test_losses_that_were_deleted_are_named(runs):
    (open_study("a", "tiny").folder / "03_train_otfm/checkpoint.pt").unlink()
    with pytest.raises(SkfmError, match="03_train_otfm/checkpoint.pt cannot be read"):
        run_comparison.compare_runs("a", "b")
