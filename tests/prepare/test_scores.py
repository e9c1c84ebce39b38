"""Proposed scores: right on phantoms, said in words, never over an expert's."""

import numpy as np
import pytest
import pyvista as pv

from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.registration.canonical_pose import Registration
from skfm_lib.data.registration.shape_model import MODES, reference
from skfm_lib.data.voxels import skull_grid, surface
from skfm_lib.prepare.labels import read_scores, write_scores
from skfm_lib.prepare.score_proposal import landmarks, propose
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

SHAPE = scaled_shape(1 / 8)
GRID = skull_grid(SHAPE)


def registered(bone: np.ndarray, doubt: float = 1.0) -> Registration:
    mesh: pv.PolyData = surface(bone, GRID, 0.5)
    return Registration(mesh, np.eye(4), 2.0, doubt, np.zeros(MODES))


@pytest.mark.parametrize("quality", [2, 3, 4, 5, 6])
def test_phantoms_get_the_score_they_were_made_with(quality):
    bones = [phantom_skull(seed, quality, SHAPE) for seed in range(4100, 4104)]
    assert [propose(registered(bone)).quality for bone in bones] == [quality] * 4


def test_the_reason_says_what_is_seen():
    reason = propose(registered(phantom_skull(4100, 6, SHAPE))).reason
    assert reason.startswith("cap missing, orbits whole, nose 100 %, teeth both rows")
    doubtful = propose(registered(phantom_skull(4100, 2, SHAPE), doubt=7.2))
    assert "mandible missing; its pose is uncertain by 7 mm" in doubtful.reason


def test_less_than_score_2_gets_none():
    """A cap without a face, and a face without cap that ends within the nose."""
    high, nose = GRID.axes()[2] > 55, GRID.axes()[2] > 5
    whole = phantom_skull(4100, 5, SHAPE)
    assert propose(registered(whole & high)).quality is None
    low = GRID.axes()[2] < 60
    assert propose(registered(whole & nose & low)).quality is None
    assert propose(registered(whole & nose)).quality == 3


def test_landmarks_follow_the_shape():
    """Of a larger skull, all are farther from the ears."""
    larger = np.zeros(MODES)
    larger[0] = np.sign(reference().modes[0][reference().points[:, 2] > 100, 2].mean())
    mean, other = np.array(landmarks(np.zeros(MODES))), np.array(landmarks(2 * larger))
    assert mean[0] - mean[1] == pytest.approx(51)  # the population's nasal height
    assert other[2] > mean[2] + 2 and other[0] - other[1] > mean[0] - mean[1]


def test_an_experts_score_stays(tmp_path):
    write_scores(tmp_path, {"a": (3, "nose 50 %"), "b": (None, "cap, whole")})
    assert read_scores(tmp_path) == {}
    table = tmp_path / "labels.csv"
    lines = table.read_text("utf-8").splitlines()
    assert lines == ["name,quality,proposed,reason", "a,,3,nose 50 %"] + [
        'b,,,"cap, whole"'
    ]
    table.write_text("name,quality\nb,0\na,4\n", "utf-8")
    write_scores(tmp_path, {"a": (3, "nose 50 %"), "c": (5, "x")})
    assert read_scores(tmp_path) == {"a": 4, "b": 0}
    assert "a,4,3,nose 50 %" in table.read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,quality\na,7\n", "line 2: quality '7'; expected 2–6, or 0"),
        ("name,quality\na,3\na,4\n", "line 3: a skull twice"),
        ("name;quality\na;7\n", "other columns"),
    ],
)
def test_wrong_tables_are_refused(tmp_path, text, message):
    (tmp_path / "labels.csv").write_text(text, "utf-8")
    with pytest.raises(SkfmError, match=message):
        read_scores(tmp_path)
