"""Table 8 again: which rows, how they are trained, and what is measured."""

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
from skfm_lib.presets.paper_tables import RECONSTRUCTION_ERROR, TABLE_8
from skfm_lib.study import open_study
from skfm_lib.training import vqgan_losses, vqvae


def test_the_rows_are_those_of_the_paper():
    rows = variants()
    assert len({row.name for row in rows}) == len({row.label for row in rows}) == 8
    papers = [row.paper for row in rows if row.paper]
    # Its last row is its best autoencoder once more, rounded to two digits.
    assert sorted(papers) == sorted(v for k, v in TABLE_8.items() if k != "s=0.82, up")
    assert TABLE_8["s=0.82, up"] == round(TABLE_8["VQ-VAE"], 4)
    assert RECONSTRUCTION_ERROR == 0.00227


def test_every_row_differs_in_one_thing():
    rows = {row.label: row for row in variants()}
    changes = {label: dict(row.changes) for label, row in rows.items()}
    assert changes["vqvae"] == changes["vqvae-again"] == {}
    assert rows["vqvae"].seed == 0 and rows["vqvae-again"].seed == 1
    assert changes["vqgan"] == {"adversarial": 0.25}
    assert changes["perceptual"] == {"perceptual": 1.0, "lpips_weights": None}
    sizes = {k: (c["scale"], c["upsample"]) for k, c in changes.items() if "scale" in c}
    assert sizes == {
        "s=0.422-up": (0.422, True),
        "s=0.53-up": (0.53, True),
        "s=0.578-up": (0.578, True),
        "s=0.578-no-up": (0.578, False),
    }


def test_only_lpips_is_called_lpips():
    offline, given = (variants(folder)[3] for folder in (None, "weights"))
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


def test_a_finished_cell_is_kept_and_other_steps_are_another(
    study, phantoms, monkeypatch
):
    row = Variant("coarse", "coarse", {"scale": 0.422}, None)
    cell = train_variant(study, row, 2, phantoms, phantoms)
    assert cell.done and cell.folder.parent.name == "10_cells"
    assert len(cell.results["error"]) == len(cell.results["dice"]) == 6
    assert cell.settings["vqvae"]["scale"] == 0.422
    other = train_variant(study, row, 1, phantoms, phantoms)
    monkeypatch.setattr(vqvae, "Trainer", None)  # nothing trains any more
    again = train_variant(study, row, 2, phantoms, phantoms)
    assert again.folder == cell.folder != other.folder
    assert again.results == cell.results


@pytest.mark.parametrize("label", ["vqgan", "perceptual", "s=0.422-up"])
def test_the_error_is_against_the_full_resolution(study, phantoms, label):
    (row,) = [row for row in variants() if row.label == label]
    cell = train_variant(study, row, 1, phantoms, phantoms)
    v = torch.stack([phantoms[i][0] for i in range(6)])
    v_hat = reconstructions([row], [cell], v)[row.name]
    assert v_hat.shape == v.shape
    errors = (v - v_hat).abs().mean(dim=(1, 2, 3, 4))
    assert cell.results["error"] == pytest.approx(errors.tolist(), rel=1e-4)


def test_the_loss_at_the_input_resolution_is_judged_at_the_full_one(study, phantoms):
    (row,) = [row for row in variants() if row.label == "s=0.578-no-up"]
    cell = train_variant(study, row, 1, phantoms, phantoms)
    v = torch.stack([phantoms[i][0] for i in range(6)])
    model = vqvae.load_vqvae(study, ablations.pick_device(), cell.name)
    assert model.settings.input_shape == (17, 13, 19) and not model.settings.upsample
    v_hat, _ = vqvae.reconstruct(model, v, ablations.pick_device())
    errors = (v - v_hat).abs().mean(dim=(1, 2, 3, 4))
    assert cell.results["error"] == pytest.approx(errors.tolist(), rel=1e-4)


class Done:
    """A cell with these errors."""

    def __init__(self, errors):
        self.results = {"error": errors, "dice": [0.5, 0.7] * (len(errors) // 2)}


def test_differences_are_skull_by_skull():
    rng = np.random.default_rng(0)
    plain = rng.uniform(0.1, 0.9, 100)  # skulls differ by far more than rows do
    worse = plain + 0.01 + rng.uniform(-0.001, 0.001, 100)
    rows = variants()[:3]
    cells = [Done(list(e)) for e in (plain, plain, worse)]
    first, same, third = table_8(rows, cells, seed=0).values()
    assert first["error ↓"].value == pytest.approx(plain.mean())
    assert first["Dice ↑"] == pytest.approx(0.6)
    assert first["minus the first row"] == same["minus the first row"] == 0
    assert "paper's error ↓" not in same and third["paper's error ↓"] == 0.02323
    more = third["minus the first row"]
    assert more.value == pytest.approx(0.01, abs=2e-4)
    assert 0.0095 < more.low < more.value < more.high < 0.0105
    spread = third["error ↓"].high - third["error ↓"].low
    assert spread == pytest.approx(2 * 1.96 * worse.std() / 10, rel=0.15)
