"""What is trained and generated, without doing it."""

import json

import pytest

from skfm_lib.evaluation import share_command
from skfm_lib.evaluation.levers import shares
from skfm_lib.evaluation.levers.__main__ import main
from skfm_lib.evaluation.levers.models import BASES, Model
from skfm_lib.evaluation.levers.parameters import DEFAULTS, plan_of
from skfm_lib.evaluation.levers.plan import Plan
from skfm_lib.evaluation.levers.trainings import OTHER, Training
from skfm_lib.study import open_study
from skfm_lib.study.notebooks import find_notebook
from skfm_lib.training.denoiser import WEIGHTS
from skfm_lib.utils.errors import Interrupted, SkfmError


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
    return plan_of(study, {})


def test_a_training_that_several_models_share_is_planned_once(plan):
    labels = [training.label for training in plan.trainings()]
    short = {t.label for t in plan.trainings() if t.settings.steps == 30}
    otfm = [
        "components-start-margin",
        "field_of_view",
        "mirrored",
        "copied",
        "time_mean",
    ]
    changes = [*otfm, "optimizer", "label_dropout"]
    expected = {f"{base}-{one}-0" for base in BASES for one in changes}
    assert short == expected | {"otfm-0", "ours-0"}
    full = [t for t in plan.trainings() if t.settings.steps == 60]
    assert len(full) == 3 * (2 + 2)  # seeds; OTFM, ours, and two of the three levers
    assert len(labels) == len(short) + len(full)
    assert [t.settings.steps for t in plan.trainings()] == [60] * 12 + [30] * 16


def test_levers_of_sampling_share_the_weights_of_their_base(plan):
    found = {model.name: source for model, source in plan.screening("ours").items()}
    base = found["ours"]
    for name in ("ours − symmetry", "ours − average", "ours + autoguidance 2"):
        assert found[name].training == base.training
    assert found["ours − average"].file == OTHER and base.file == WEIGHTS
    assert found["ours + autoguidance 2"].guide == "denoiser-000004.safetensors"
    assert found["ours + guidance 2"].training == found["ours + label dropout"].training
    cost = {name: source.evaluations for name, source in found.items()}
    assert cost["ours"] == 5 and cost["ours − symmetry"] == 4
    assert cost["ours + guidance 2"] == cost["ours + autoguidance 2"] == 10
    assert plan.linear().evaluations == 0


def test_ours_is_stopped_on_the_way_of_its_complete_training(plan):
    assert list(plan.stopping()) == [(0, 8), (0, 15), (0, 30), (0, 60)]
    trainings = {source.training for source in plan.stopping().values()}
    assert trainings == {plan.source(Model("ours"), 0, 60).training}


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"seeds": []}, "no seeds"),
        ({"best": ["muon"]}, "best muon; expected some of linear start"),
        ({"best": ["label dropout"]}, "best label dropout; expected some of"),
        ({"levers": ["all"]}, "levers all; expected some of .*autoguidance 2"),
        ({"steps": 0}, "steps = 0; expected a whole number of at least 1"),
        ({"count": "many"}, "count = 'many'"),
        ({"seed": 1}, "parameter 'seed'; expected one of steps"),
    ],
)
def test_impossible_plans_are_refused(study, given, found):
    with pytest.raises(SkfmError, match=found):
        plan_of(study, given)


def test_a_training_is_long_enough_for_an_eighth(study):
    settings = study.settings.denoiser
    assert Training(study, "otfm", settings.but(steps=8)).kept == [1, 2, 4]
    with pytest.raises(SkfmError, match="7 training steps; expected 8 or more"):
        Training(study, "otfm", settings.but(steps=7))


def test_the_command_line_has_the_parameters_of_the_chapter():
    cells = json.loads(find_notebook("18").read_text(encoding="utf-8"))["cells"]
    text = "".join(cells[1]["source"])
    for name, (kind, default) in DEFAULTS.items():
        assert f"{name}: {kind} = {json.dumps(default)}".replace("null", "None") in text


def test_a_plan_survives_the_command_line(study, monkeypatch):
    seen = []
    keep = lambda plan, *share: seen.append((plan, share))  # noqa: E731
    monkeypatch.setattr("skfm_lib.evaluation.levers.__main__.train_share", keep)
    plan = Plan(study, 8, [1, 2], ["copied"], 12, ["Muon", "linear start"], 16)
    assert main(["2/2", *shares.as_words(plan)]) == 0
    assert main(["1/2", "--preset", "tiny", "--run", "new"]) == 0
    assert seen == [(plan, (2, 2)), (plan_of(study, {}), (1, 2))]


@pytest.mark.parametrize("share", ["3/2", "0/2", "half"])
def test_a_share_that_is_none_is_reported_in_one_line(study, share, capsys):
    assert main([share, "--preset", "tiny", "--run", "new"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("skfm: share ")


def test_two_shares_are_all_trainings_and_run_at_the_same_time(plan, monkeypatch):
    told, trained = {}, []
    monkeypatch.setattr(share_command, "cores_for", lambda count: count == 2)
    monkeypatch.setattr(shares, "train_share", trained.append)

    def side_by_side(commands, module):
        told.update(commands)
        assert module == "skfm_lib.evaluation.levers"
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


def test_on_one_core_there_is_one_process(plan, monkeypatch):
    trained = []
    monkeypatch.setattr(share_command, "cores_for", lambda count: False)
    monkeypatch.setattr(shares, "train_share", trained.append)
    shares.train_all(plan)
    assert trained == [plan]
