"""Fewer steps are measured on the same noise, kept beside the model, on its card."""

import json

import pytest

from skfm_lib.metrics import Interval
from skfm_lib.reference_model import few_steps, find_package
from skfm_lib.reference_model.comparison_set import ComparisonSet
from skfm_lib.reference_model.findings import FEW_STEPS, steps_rows
from skfm_lib.reference_model.package import read_index, write_index


@pytest.fixture
def small(packed):
    """The packed model, with ten skulls to compare, of eight steps."""
    index = read_index(packed)
    index["settings"]["sampling"] |= {"count": 10, "ours_steps": 8}
    write_index(packed, {k: v for k, v in index.items() if k != "files"})
    return packed


def test_steps_are_measured_kept_and_of_these_weights(small, tmp_path, capsys):
    assert steps_rows(find_package()) == {}
    out = tmp_path / "skulls"
    assert few_steps.main(["--out", str(out)]) == 0
    assert capsys.readouterr().out.strip().endswith("weights/few_steps.json")
    rows = steps_rows(find_package())
    # One evaluation more than steps, for the symmetry.
    named = [f"{n} steps, {n + 1} evaluations" for n in (2, 4, 8)]
    assert list(rows) == named
    assert {row["skulls"] for row in rows.values()} == {"10"}
    assert all("(" in row["failed"] and "FID ↓" not in row for row in rows.values())
    first = json.loads((small / FEW_STEPS).read_text())["steps"]
    assert few_steps.main(["--out", str(out)]) == 0  # from the kept skulls
    assert json.loads((small / FEW_STEPS).read_text())["steps"] == first

    index = read_index(small)
    index["files"]["vqvae.safetensors"]["sha256"] = "0"
    (small / "index.json").write_text(json.dumps(index))
    assert steps_rows(find_package()) == {}


def test_distances_are_measured_where_there_are_enough_skulls(
    small, tmp_path, monkeypatch
):
    near = {"FID ↓": Interval(1.0, 0.5, 2.0)}
    monkeypatch.setattr(few_steps, "FEWEST", 0)
    monkeypatch.setattr(ComparisonSet, "compare", lambda *given: near)
    few_steps.measure_steps(find_package(), tmp_path / "skulls")
    rows = steps_rows(find_package())
    assert {row["FID ↓"] for row in rows.values()} == {"1 (0.5–2)"}


def test_skulls_of_another_model_are_refused(small, tmp_path, capsys):
    (tmp_path / "2-steps").mkdir()
    (tmp_path / "2-steps" / "manifest.csv").write_text("not a set\n")
    assert few_steps.main(["--out", str(tmp_path)]) == 1
    assert capsys.readouterr().err.startswith("skfm: ")
    assert (tmp_path / "2-steps" / "manifest.csv").read_text() == "not a set\n"
