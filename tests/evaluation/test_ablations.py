"""Table 8: which rows, how they are trained, and what is measured."""

import numpy as np
import pytest
import torch

from skfm_lib.evaluation import ablations
from skfm_lib.evaluation.ablations import (
    Variant,
    reconstructions,
    table_8,
    train_variant,
    variants,
)
from skfm_lib.models.feature_net import StudyFeatures
from skfm_lib.presets import preset
from skfm_lib.presets.paper_tables import RECONSTRUCTION_ERROR, TABLE_8
from skfm_lib.study import Stage, open_study
from skfm_lib.training import vqgan_losses, vqvae

TINY = preset("tiny").vqvae


def test_the_rows_are_those_of_the_paper():
    rows = variants(TINY)
    assert len({row.name for row in rows}) == 10
    papers = [row.paper for row in rows if row.paper]
    # Its last row is its best autoencoder once more, rounded to two digits.
    assert sorted(papers) == sorted(v for k, v in TABLE_8.items() if k != "s=0.82, up")
    assert TABLE_8["s=0.82, up"] == round(TABLE_8["VQ-VAE"], 4)
    assert RECONSTRUCTION_ERROR == 0.00227


def test_every_row_differs_in_one_thing():
    rows = {row.name: row for row in variants(TINY)}
    changes = {name: dict(row.changes) for name, row in rows.items()}
    first, zeros, gan, perceptual, *_ = changes.values()
    assert first == {} and zeros == {"padding": "zeros"}
    assert gan == {"adversarial": 0.25}
    assert perceptual == {"perceptual": 1.0, "lpips_weights": None}
    plain = {k: changes.pop(k) for k in list(changes) if "plain L1" in k}
    assert plain == {
        f"{name}, plain L1": {**changes[name], "forgive_overshoot": False}
        for name in ("s=0.578, up", "s=0.578, no up")
    }
    assert len(variants(preset("paper").vqvae)) == 8  # its loss is plain L1 anyway
    sizes = {k: (c["scale"], c["upsample"]) for k, c in changes.items() if "scale" in c}
    assert sizes == {
        "s=0.422, up": (0.422, True),
        "s=0.53, up": (0.53, True),
        "s=0.578, up": (0.578, True),
        "s=0.578, no up": (0.578, False),
    }


def test_only_lpips_is_called_lpips():
    offline, given = (variants(TINY, folder)[3] for folder in (None, "weights"))
    assert offline.name == "VQ-VAE + study features"
    assert given.name == "VQ-VAE + LPIPS"
    assert given.changes["lpips_weights"] == "weights"


@pytest.fixture
def study(project, monkeypatch):
    """A study whose features are those of an untrained network."""
    features = lambda *given: StudyFeatures().eval()  # noqa: E731
    monkeypatch.setattr(vqgan_losses, "study_features", features)
    made = open_study("run", "tiny")
    made.stage("01_preprocess", {}).finish()
    return made


def test_a_finished_experiment_is_kept_and_other_steps_are_another(
    study, phantoms, monkeypatch
):
    row = Variant("coarse", {"scale": 0.422})
    stage, other_seed = train_variant(study, row, 2, phantoms, phantoms)
    assert [one.settings["seed"] for one in (stage, other_seed)] == [0, 1]
    assert stage.results["error"] != other_seed.results["error"]
    assert stage.done and stage.folder.parent.name == "10_experiments"
    assert len(stage.results["error"]) == len(stage.results["dice"]) == 6
    assert stage.settings["vqvae"]["scale"] == 0.422
    other, _ = train_variant(study, row, 1, phantoms, phantoms)
    monkeypatch.setattr(vqvae, "Trainer", None)  # nothing trains any more
    again, _ = train_variant(study, row, 2, phantoms, phantoms)
    assert again.folder == stage.folder != other.folder
    assert again.results == stage.results


@pytest.mark.parametrize("row", [1, 2, 3, 7])
def test_the_error_is_against_the_full_resolution(study, phantoms, row):
    row = variants(TINY)[row]
    stages = train_variant(study, row, 1, phantoms, phantoms)
    stage, found = stages[0], reconstructions([row], [stages], phantoms, [0, 2, 5])
    assert found["skull"].shape == found[row.name].shape == (3, *phantoms.shape)
    assert (found["skull"][1] > 0).tolist() == phantoms.occupancy(2).tolist()
    errors = np.abs(found["skull"] - found[row.name]).mean(axis=(1, 2, 3))
    measured = np.array(stage.results["error"])[[0, 2, 5]]
    assert measured == pytest.approx(errors, rel=1e-4)


def test_the_loss_at_the_input_resolution_is_evaluated_at_the_full_one(study, phantoms):
    (row,) = [row for row in variants(TINY) if row.name == "s=0.578, no up"]
    stage, _ = train_variant(study, row, 1, phantoms, phantoms)
    v = torch.stack([phantoms[i][0] for i in range(6)])
    model = vqvae.load_vqvae(study, ablations.pick_device(), stage.name)
    assert model.settings.input_shape == (17, 13, 19) and not model.settings.upsample
    v_hat, _ = vqvae.reconstruct(model, v, ablations.pick_device())
    errors = (v - v_hat).abs().mean(dim=(1, 2, 3, 4))
    assert stage.results["error"] == pytest.approx(errors.tolist(), rel=1e-4)


def test_differences_are_skull_by_skull(study):
    rng = np.random.default_rng(0)
    plain = rng.uniform(0.1, 0.9, 100)  # skulls differ by far more than rows do
    worse = plain + 0.01 + rng.uniform(-0.001, 0.001, 100)
    rows = variants(TINY)[:3]
    stages = []
    for label, errors in (("a", plain), ("b", plain), ("c", worse)):
        stages.append([Stage(study, f"{label}{seed}", {}, {}) for seed in (0, 1)])
        for one, shift in zip(stages[-1], (-0.05, 0.05)):  # the seeds differ by more
            one.finish(error=(errors + shift).tolist(), dice=[0.5, 0.7] * 50)
    first, same, third = table_8(rows, stages, seed=0).values()
    assert first["error ↓"].value == pytest.approx(plain.mean())
    assert first["seed 1"] - first["seed 0"] == pytest.approx(0.1)
    assert first["Dice ↑"] == pytest.approx(0.6)
    assert first["minus the first row"] == same["minus the first row"] == 0
    assert "paper's error ↓" not in same and third["paper's error ↓"] == 0.02323
    more = third["minus the first row"]
    assert more.value == pytest.approx(0.01, abs=2e-4)
    assert 0.0095 < more.low < more.value < more.high < 0.0105
    spread = third["error ↓"].high - third["error ↓"].low
    assert spread == pytest.approx(2 * 1.96 * worse.std() / 10, rel=0.15)
