"""What a packed model discloses is measured, kept beside it, and on its card."""

import json

import pytest
from packed_model import write_packed

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.evaluation.screening import frozen_limits, screener
from skfm_lib.evaluation.screening.measures import measure_skulls
from skfm_lib.evaluation.screening.reference_ranges import with_limits
from skfm_lib.presets import preset
from skfm_lib.reference_model import find_package
from skfm_lib.reference_model.findings import FINDINGS, privacy_rows, read_findings
from skfm_lib.reference_model.package import read_index, write_index
from skfm_lib.reference_model.privacy import main, measure_privacy
from skfm_lib.study import open_study, stage_names
from skfm_lib.utils.errors import SkfmError

SHAPE = preset("tiny").vqvae.output_shape


@pytest.fixture(scope="module")
def population(tmp_path_factory):
    folder = tmp_path_factory.mktemp("population")
    counts = {2: 2, 3: 2, 4: 2, 5: 2, 6: 3}, {2: 1, 6: 3}, dict.fromkeys(range(2, 7), 1)
    phantom_skulls(folder, SHAPE, *counts, seed=0, workers=1)
    return folder


@pytest.fixture(scope="module")
def written(population, tmp_path_factory):
    """A packed model of untrained networks that stores these skulls' blocks."""
    train = SkullSet(population, "train").load()
    folder = write_packed(tmp_path_factory.mktemp("packed") / "weights", train)
    limits = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json").limits
    measured = measure_skulls(train, "training skulls")
    ranges = with_limits(measured, train.qualities, limits)
    screener.save_ranges(folder / screener.RANGES, ranges, train.qualities)
    index = read_index(folder)
    index["settings"]["sampling"] |= {"count": 10, "ours_steps": 2}
    write_index(folder, {k: v for k, v in index.items() if k != "files"})
    return folder


@pytest.fixture
def study(project, population, written, monkeypatch):
    monkeypatch.setenv("SKFM_WEIGHTS", str(written))
    made = open_study("mine", "tiny")
    data = {"folder": str(population), "made_from": "phantoms"}
    made.stage(stage_names.DATA, {}).finish(**data)
    return made


def test_a_model_without_findings_is_not_measured(packed):
    rows = privacy_rows(find_package())
    assert list(rows) == ["copies", "membership", "attribute inference"]
    assert {row["found"] for row in rows.values()} == {"not measured"}


def test_findings_are_measured_and_belong_to_these_files(study, written, capsys):
    assert main(["--run", "mine"]) == 0
    assert capsys.readouterr().out.strip().endswith("weights/privacy.json")
    package = find_package()
    found = read_findings(package)
    assert found["run"] == "mine" and found["skulls"] == {"members": 11, "strangers": 4}
    assert set(found["membership"]) == {
        *("loss", "linear start", "autoencoder", "screening.npz"),
    }
    # The screening stores the training skulls: it tells all of them from others.
    stored = found["membership"]["screening.npz"]
    assert stored["AUC"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert set(found["jaws"]) == {"mean of the score", "linear start", "flow"}
    assert found["copies"]["voxels"]["planted"].endswith("traced")
    rows = privacy_rows(package)
    assert rows["membership by screening.npz"]["found"].startswith("AUC 1, TPR 100 %")
    assert "of 10 generated skulls" in rows["copies by latents"]["found"]
    assert "strangers" in rows["jaw by flow"]["found"]

    index = json.loads((written / "index.json").read_text())
    index["files"]["vqvae.safetensors"]["sha256"] = "0"
    (written / "index.json").write_text(json.dumps(index))
    assert read_findings(find_package()) is None  # they are of other weights


def test_other_training_skulls_are_refused(packed, project, population, capsys):
    made = open_study("mine", "tiny")
    data = {"folder": str(population), "made_from": "phantoms"}
    made.stage(stage_names.DATA, {}).finish(**data)
    with pytest.raises(SkfmError, match="holds other skulls than the packed model's"):
        measure_privacy(find_package(), made)
    assert main(["--run", "none"]) == 1
    assert capsys.readouterr().err.startswith("skfm: there is no run 'none'")
    assert not (packed / FINDINGS).exists()
