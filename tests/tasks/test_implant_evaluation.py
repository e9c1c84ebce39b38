"""Implants tried against the bone that was cut out, and the skull's other side."""

import numpy as np
import pandas as pd
import pytest
import pyvista as pv
import torch

from skfm_lib.data.point_clouds import load_clouds
from skfm_lib.data.voxels import sample_surface
from skfm_lib.models import PointAttN
from skfm_lib.presets import preset
from skfm_lib.tasks import implant
from skfm_lib.tasks.defects import Cuboid
from skfm_lib.tasks.experiments import SkullPool
from skfm_lib.tasks.implant_evaluation import (
    CLEARLY,
    COLUMNS,
    MISSING,
    RUNNER_UP,
    cut_mesh,
    implant_trial,
    mirror_distances,
    own_result,
    summary,
)
from skfm_lib.utils.files import write_json

MODEL = PointAttN(preset("tiny").completer)


@pytest.fixture
def pool(phantoms, tmp_path):
    clouds = load_clouds(phantoms, tmp_path)
    return SkullPool(phantoms, (), clouds, clouds, phantoms)


def test_a_completer_that_knows_the_skull_finds_its_defect(pool, phantoms, monkeypatch):
    whole = phantoms.surface(4)
    cloud = torch.from_numpy(sample_surface(whole, 60_000, seed=1))[None]
    monkeypatch.setattr(implant, "complete", lambda *_: cloud.float())
    middle = Cuboid(np.array([55.0, 20, 40]), np.array([22.0, 22, 22]), np.eye(3))
    monkeypatch.setattr(
        "skfm_lib.tasks.implant_evaluation.defective",
        lambda clouds, *_: (None, None, [middle] * len(clouds)),
    )
    (row,) = implant_trial(MODEL, pool, [4], seed=0).to_dict("records")
    assert row["name"] == phantoms.skulls[4].name
    assert row["found"] and not row["alarm"]
    assert row["volume"] == pytest.approx(1, abs=0.4) and row["distance"] < 4


def test_a_completer_that_adds_nothing_finds_nothing(pool, monkeypatch):
    monkeypatch.setattr(implant, "complete", lambda model, partial, _: partial)
    tried = implant_trial(MODEL, pool, [4], seed=0)
    assert not tried["found"].any() and tried["volume"].isna().all()


def test_the_summary_counts_by_score_and_in_all():
    rows = [
        (2, True, True, False, 1.2, 2.0),
        (2, True, False, True, 0.8, 4.0),
        (5, False, False, False, np.nan, np.nan),
    ]
    tried = pd.DataFrame(rows, columns=COLUMNS[1:])
    told = summary(tried)
    assert told["QS 2"] == {
        "found": "2 of 2",
        "clear": "1 of 2",
        "alarm": "1 of 2",
        "volume, median": 1.0,
        "distance, median": 3.0,
    }
    assert told["QS 5"]["volume, median"] is None
    assert told["QS 5"]["found"] == "0 of 1" and told["all"]["found"] == "2 of 3"


def test_the_other_side_of_a_symmetric_skull_is_as_far_as_it_was_moved():
    bone = pv.Sphere(radius=70, theta_resolution=80, phi_resolution=80)
    cap = bone.clip("x", origin=(50, 0, 0), invert=False).triangulate()
    told = mirror_distances(cap.translate((3, 0, 0)), bone)
    assert told["bone around"] < 0.2
    assert told["implant"] == pytest.approx(2.5, abs=0.5)


def test_a_cut_takes_every_triangle_that_reaches_in():
    mesh = pv.Sphere(radius=70)
    box = Cuboid(np.array([70.0, 0, 0]), np.array([20.0, 20, 20]), np.eye(3))
    left, lost = cut_mesh(mesh, box)
    assert left.n_cells + lost.n_cells == mesh.n_cells
    assert not box.contains(left.points[np.unique(left.regular_faces)]).any()
    faces = lost.points[lost.regular_faces]
    assert box.contains(faces.reshape(-1, 3)).reshape(-1, 3).any(axis=1).all()


@pytest.mark.parametrize(
    "missing, other, clear, words",
    [
        (270, 165, False, "UNCERTAIN"),
        (900, 100, True, "calls its result clear"),
        (0, 0, False, "has found no defect"),
    ],
)
def test_the_tool_s_own_result_is_told(missing, other, clear, words, tmp_path):
    record = {MISSING: missing, RUNNER_UP: other, CLEARLY: clear}
    write_json(tmp_path / "implant.json", record)
    text = own_result(tmp_path)
    assert words in text and ("UNCERTAIN" in text) == (words == "UNCERTAIN")
    assert not missing or f"{missing} points are missing, {other} in the next" in text
