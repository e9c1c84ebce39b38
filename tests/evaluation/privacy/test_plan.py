"""What chapter 14 trains, without doing it, and how it is divided among shells."""

import json

import numpy as np
import pytest
import torch

from skfm_lib.evaluation import share_command
from skfm_lib.evaluation.privacy import shares
from skfm_lib.evaluation.privacy.__main__ import main
from skfm_lib.evaluation.privacy.plan import DEFAULTS, Plan, plan_of
from skfm_lib.evaluation.privacy.trainings import PartTraining
from skfm_lib.study import open_study
from skfm_lib.study.notebooks import find_notebook
from skfm_lib.utils.errors import Interrupted, SkfmError


class Latents:
    """Forty latents in memory."""

    qualities = [2] * 10 + [3] * 12 + [4] * 8 + [5] * 8 + [6] * 2

    def __len__(self):
        return 40

    def __getitem__(self, index):
        rng = torch.Generator().manual_seed(index)
        return torch.randn(2, 3, generator=rng), self.qualities[index]


@pytest.fixture
def study(project):
    """A study with an autoencoder that does not exist."""
    made = open_study("new", "tiny")
    made.stage("01_preprocess", {}).finish()
    made.stage("02_train_vqvae", {"vqvae": {}}, ("01_preprocess",)).finish()
    return made


@pytest.fixture
def plan(study):
    """The chapter's plan at the preset's steps."""
    made = plan_of(study, {})
    made.__dict__["latents"] = Latents()
    return made


def test_the_trainings_are_one_with_canaries_and_the_shadow_models(plan):
    first, *others = plan.trainings
    assert first.name == "canaries" and first.steps == 60
    # Five of forty are left out, five trained on once, ten times and fifty times.
    assert len(first.items) == 40 - 5 + 5 * 9 + 5 * 49
    assert [one.name for one in others] == [f"shadow-{i + 1}" for i in range(8)]
    assert {one.steps for one in others} == {30}
    assert [one.study.seed for one in others] == list(range(1, 9))
    for a, b in zip(others[::2], others[1::2]):
        assert sorted(a.items + b.items) == list(range(40))
    stages = {one.stage.name for one in plan.trainings}
    assert len(stages) == 9 and all(s.startswith("14_experiments/") for s in stages)


def test_another_choice_of_skulls_is_another_experiment(study):
    one, other = (PartTraining(study, "some", items, 5) for items in ((1, 2), (1, 3)))
    assert one.stage.fingerprint != other.stage.fingerprint
    again = PartTraining(study, "some", (1, 2), 5)
    assert again.stage.fingerprint == one.stage.fingerprint
    with pytest.raises(SkfmError, match="some of no skulls; expected at least one"):
        PartTraining(study, "some", (), 5)


def test_few_skulls_have_few_components(study):
    few = PartTraining(study, "few", (*range(20), *range(20)), 5)
    assert few.settings.components == 20 // 5 and few.settings.start == 0.8
    many = PartTraining(study, "many", tuple(range(363)), 5)
    assert many.settings.components == study.settings.ours.components == 16


def test_losses_are_those_of_the_models_in_the_order_of_the_columns(plan, monkeypatch):
    told = lambda one, latents, times: np.full(40, one.study.seed)  # noqa: E731
    monkeypatch.setattr(PartTraining, "losses", told)
    found = plan.shadow_losses()
    assert found.shape == plan.member.shape == (40, 8)
    assert found[0].tolist() == list(range(1, 9))
    for model, one in enumerate(plan.shadow_models):
        assert np.flatnonzero(plan.member[:, model]).tolist() == list(one.items)


def test_the_command_line_has_the_parameters_of_the_chapter():
    cells = json.loads(find_notebook("14").read_text(encoding="utf-8"))["cells"]
    text = "".join(cells[1]["source"])
    for name, (kind, default) in DEFAULTS.items():
        assert f"{name}: {kind} = {json.dumps(default)}".replace("null", "None") in text


def test_a_plan_survives_the_command_line(study, monkeypatch):
    seen = []
    keep = lambda plan, *share: seen.append((plan, share))  # noqa: E731
    monkeypatch.setattr("skfm_lib.evaluation.privacy.__main__.train_share", keep)
    plan = Plan(study, 4, 8, None, [0, 5], 3)
    assert main(["2/2", *shares.as_words(plan)]) == 0
    assert main(["1/2", "--preset", "tiny", "--run", "new"]) == 0
    assert seen == [(plan, (2, 2)), (plan_of(study, {}), (1, 2))]


@pytest.mark.parametrize("share", ["3/2", "0/2", "half"])
def test_a_share_that_is_none_is_reported_in_one_line(study, share, capsys):
    assert main([share, "--preset", "tiny", "--run", "new"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skfm: share ")


def test_two_shares_run_at_the_same_time_where_there_are_cores(plan, monkeypatch):
    told, trained = {}, []
    monkeypatch.setattr(share_command, "cores_for", lambda count: count == 2)
    monkeypatch.setattr(shares, "train_share", trained.append)

    def side_by_side(commands, module):
        told.update(commands)
        assert module == "skfm_lib.evaluation.privacy"
        return {}

    monkeypatch.setattr(share_command, "side_by_side", side_by_side)
    shares.train_all(plan)
    assert [words[0] for words in told.values()] == ["1/2", "2/2"]
    assert trained == [plan]  # finds all of it finished
    stopped = lambda *given: {"share 1/2": Interrupted("told to stop")}  # noqa: E731
    monkeypatch.setattr(share_command, "side_by_side", stopped)
    with pytest.raises(Interrupted):
        shares.train_all(plan)
    assert trained == [plan]
