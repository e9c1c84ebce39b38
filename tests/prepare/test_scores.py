"""Proposed scores: right on phantoms, said in words, never over an expert's."""

import numpy as np
import pytest
import pyvista as pv
from own_frame import X, Y, Z, own_skull

from skfm_lib.data.registration.canonical_pose import Registration
from skfm_lib.data.registration.coverage import coverage
from skfm_lib.data.registration.shape_model import MODES, reference
from skfm_lib.prepare.labels import read_scores, write_scores
from skfm_lib.prepare.score_proposal import Proposal, landmarks, propose
from skfm_lib.utils.errors import SkfmError


def registered(mesh: pv.PolyData, doubt: float = 1.0) -> Registration:
    shape = np.zeros(MODES)
    return Registration(mesh, np.eye(4), 2.0, doubt, shape, coverage(mesh, shape))


@pytest.mark.parametrize("quality", [2, 3, 4, 5, 6])
def test_phantoms_get_the_score_they_were_made_with(quality):
    skulls = [own_skull(seed, quality) for seed in range(4100, 4104)]
    assert [propose(registered(one)).quality for one in skulls] == [quality] * 4


def test_the_reason_says_what_is_seen():
    reason = propose(registered(own_skull(4100, 6))).reason
    assert reason.startswith("cap missing, orbits in part, nose 100 %, teeth both rows")
    doubtful = propose(registered(own_skull(4100, 2), doubt=7.2))
    assert "mandible missing; its pose is uncertain by 7 mm" in doubtful.reason


def test_what_is_not_there_is_not_whole():
    """Between the ends of the scan, one orbit and the upper jaw are cut out."""

    def without(part: np.ndarray | bool) -> Proposal:
        return propose(registered(own_skull(4101, 5, ~np.asarray(part))))

    assert without(False).reason.startswith("cap whole, orbits whole")
    found = without((X > 0) & (Y > 30) & (np.abs(Z - 20) < 30))
    assert "left orbit whole, right missing" in found.reason
    assert found.quality not in (4, 5)
    found = without((Y > 30) & (Z < -10) & (Z > -55))
    assert found.quality == 4 and "teeth lower" in found.reason
    found = without((X > 20) & (Z > 40))
    assert found.quality == 5 and found.reason.startswith("cap in part, orbits whole")


@pytest.mark.parametrize(
    ("low", "high", "quality"), [(55, 400, None), (5, 60, None), (5, 400, 3)]
)
def test_less_than_score_2_gets_none(low, high, quality):
    """A cap without a face, and a face without cap that ends within the nose."""
    part = own_skull(4100, 5, (Z > low) & (Z < high))
    assert propose(registered(part)).quality is quality


def test_landmarks_follow_the_shape():
    """Of a larger skull, all are farther from the ears."""
    larger = np.zeros(MODES)
    larger[0] = np.sign(reference().modes[0][reference().points[:, 2] > 100, 2].mean())
    mean, other = np.array(landmarks(np.zeros(MODES))), np.array(landmarks(2 * larger))
    assert mean[0] - mean[1] == pytest.approx(
        50.2, abs=0.1
    )  # nasal height, mean of both sexes
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
