"""Sets in few steps: what is kept, what is worse beyond chance, what is concluded."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from skfm_lib.evaluation import table1_columns
from skfm_lib.evaluation.held_out import (
    FAILED,
    FID,
    IR,
    MISCONDITIONED,
    PR,
    HeldOut,
)
from skfm_lib.evaluation.sampling_steps import step_sets
from skfm_lib.evaluation.sampling_steps.step_sets import (
    StepSet,
    conclusion,
    fewest,
    losses,
    most_steps,
    record,
)
from skfm_lib.evaluation.screening.reference_ranges import ScreeningResult
from skfm_lib.generation import Sampler, SkullGenerator
from skfm_lib.models import VQVAE, UNet3D
from skfm_lib.presets import preset
from skfm_lib.study import open_study
from skfm_lib.training.latents import LatentScale
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

TINY, N = preset("tiny"), 60
NOTHING = object.__new__(HeldOut)  # is compared with
REAL, FAKE = np.random.default_rng(0).normal(size=(2, N, 4))


def made(model, steps, failing=6, shift=0.0, scale=1.0):
    """A set of which the first skulls fail, and whose features are moved or scaled."""
    asked, found = np.full(N, 4), np.where(np.arange(N) < 3, 5, 4)
    excess = np.where(np.arange(N) < failing, 1.0, -1.0)[:, None]
    screened = ScreeningResult(asked, found, excess, excess)
    compared = table1_columns.compare(REAL, scale * FAKE + shift, seed=0, n=25)
    method = "shortcut" if model == "shortcut" else "euler"
    sampler = Sampler(method, steps, symmetric=0.4 * (steps > 1))
    values = {FAILED: failing / N, MISCONDITIONED: 3 / N, FID: 1.0}
    return StepSet(model, sampler, 0.1, values, screened, compared)


MOST = made("ours", 8)


def test_a_set_minus_itself_is_0_and_in_nothing_worse():
    found = MOST.minus(MOST)
    assert list(found) == [FAILED, MISCONDITIONED, FID, IR, PR]
    assert all(value == 0 and low <= 0 <= high for value, low, high in found.values())
    assert MOST.worse_than(MOST) == []


@pytest.mark.parametrize(
    ("other", "worse"),
    [
        ({"failing": 30}, [FAILED]),
        ({"failing": 0}, []),  # better
        ({"shift": 1.0}, [FID]),
        ({"scale": 0.02}, [FID, IR, PR]),  # no variety
    ],
)
def test_what_is_worse_beyond_chance_is_named(other, worse):
    one = made("ours", 2, **other)
    assert set(worse) <= set(one.worse_than(MOST))
    assert FAILED in worse or FAILED not in one.worse_than(MOST)
    gap = one.minus(MOST)[FAILED].value
    assert gap == pytest.approx(one.screened.failed.mean() - 6 / N)


def test_the_fewest_evaluations_are_those_that_lose_nothing():
    bad = {"failing": 40}
    sets = [made("ours", 1, **bad), made("ours", 2), made("ours", 4, **bad), MOST]
    sets += [made("shortcut", 1, **bad), made("shortcut", 2, shift=3.0)]
    assert most_steps(sets) is MOST
    assert fewest(sets) == {"ours": sets[1], "shortcut": None}
    assert conclusion(sets) == (
        "The fewest evaluations in which no measure is worse, beyond chance, than in "
        "the 9 of ours, 8 steps: 3 of ours (2 steps), none of shortcut."
    )
    rows = losses(sets)
    assert "ours, 8 steps" not in rows and rows["ours, 1 step"]["evaluations"] == 1
    assert rows["ours, 1 step"]["worse"] == "failed"
    assert rows["ours, 2 steps"]["worse"] == "none"
    kept = record(sets)
    assert list(kept) == [one.name for one in sets]
    assert kept["ours, 8 steps"]["minus the most steps"] is None
    low, high = kept["ours, 2 steps"][FAILED][1:]
    assert 0 < low < 0.1 < high


@pytest.fixture
def generator():
    """Of random weights; its volumes hold about half bone."""
    torch.manual_seed(0)
    network, vqvae = UNet3D(TINY.denoiser.but(width=8)), VQVAE(TINY.vqvae)
    torch.nn.init.zeros_(vqvae.decoder[-1].bias)
    scale = LatentScale(torch.zeros(8, 1, 1, 1), torch.ones(8, 1, 1, 1), (-1.0, 1.0))
    device = Device(torch.device("cpu"), torch.float32)
    return SkullGenerator("ours", network.eval(), vqvae.eval(), scale, device)


def test_sets_share_their_noise_are_kept_and_resumed(project, generator, monkeypatch):
    study = open_study("new", "tiny")
    study.stage("17_train_ours", {}).finish()
    seen = []
    scores, starts = [2, 4, 6], []

    def compared(*given):
        seen.append(given[:3])
        return MOST

    monkeypatch.setattr(step_sets, "_compared", compared)
    hook = generator.network.register_forward_pre_hook(
        lambda module, given: starts.append(given[0])
    )
    with hook:
        step_sets.step_sets(study, generator, [2, 1, 2], scores, NOTHING)
    samplers = [sampler for _, _, sampler in seen]
    assert [(s.steps, s.symmetric) for s in samplers] == [(1, 0), (2, 0.4)]
    one, two = starts[0], starts[2]  # after one step of a set, and of its timing
    assert torch.equal(one, two)
    folders = [stage.folder for stage, _, _ in seen]
    for stage, _, _ in seen:
        assert stage.done and stage.results["seconds"] > 0
        assert len(list(stage.folder.glob("skulls/volumes/*"))) == 3
    monkeypatch.setattr(SkullGenerator, "latents", lambda *given: pytest.fail("again"))
    step_sets.step_sets(study, generator, [1, 2], scores, NOTHING)
    assert [stage.folder for stage, _, _ in seen[2:]] == folders


def test_steps_that_the_model_does_not_have_are_named(project, generator):
    study = open_study("new", "tiny")
    study.stage("13_train_shortcut", {}).finish()
    few = replace(generator, objective="shortcut")
    with pytest.raises(SkfmError, match="3 shortcut steps; expected one of"):
        step_sets.step_sets(study, few, [3], [2, 4], NOTHING)
