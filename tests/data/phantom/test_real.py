"""Phantoms beside real skulls: the two development heads.

The head "cranium" is the study's test head: nothing is fitted to it or chosen on it.
"""

import re
from pathlib import Path

import numpy as np
import pytest
from heads import CRANIOTOMY, PLASTIC, needs_craniotomy, needs_plastic
from scipy.spatial.transform import Rotation

from skfm_lib.data.bone_fractions import skull_surface
from skfm_lib.data.io.volumes import read_scan
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.registration.rigid_icp import apply, rigid_icp, rigid_matrix
from skfm_lib.data.voxels import skull_grid
from skfm_lib.prepare.bone_segmentation import bone_mesh

EIGHTH = (57, 44, 64)
SEEDS = range(3)
ROOT = Path(__file__).parents[3]
# The midpoint of the ear openings, RAS mm in the scan, and the tilt of the Frankfurt
# plane, degrees, as registration finds them; threshold, HU.
POSES = {
    PLASTIC: ((3, -111, 717), 8.0, 200.0),
    CRANIOTOMY: ((-309, 19, 411), 9.0, 200.0),
}
# The tests that read the test head: as any user's scan, and for the book's reports.
REPORTS = {"tests/prepare/test_pipeline.py", "tests/test_notebooks.py"}
NAMES = re.compile(r"cranium_ct|Cranium\.inv3|\bCRANIUM\b|needs_cranium")


def vault(path: Path) -> np.ndarray:
    """Points (n, 3) of a head's braincase in the skull frame, mm, outer table."""
    middle, tilt, threshold = POSES[path]
    points = np.asarray(bone_mesh(read_scan(path), threshold).points, float)
    turn = Rotation.from_euler("x", tilt, degrees=True)
    points = apply(rigid_matrix(turn, -turn.apply(middle)), points)
    return points[points[:, 2] > 40][::150]


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(PLASTIC, marks=needs_plastic, id="plastic"),
        pytest.param(CRANIOTOMY, marks=needs_craniotomy, id="craniotomy"),
    ],
)
def test_phantoms_lie_close_to_the_development_heads(path) -> None:
    """Mean distance of the vault after rigid ICP; measured 1.9–2.7 mm."""
    points, grid = vault(path), skull_grid(EIGHTH)
    gaps = []
    for seed in SEEDS:
        mesh = skull_surface(phantom_skull(seed, 5, EIGHTH), grid)
        target = np.asarray(mesh.points, float)
        matrix, _ = rigid_icp(points, target, 0.9, iterations=30, tolerance=0.05)
        gaps.append(distance_to_surface(apply(matrix, points), mesh).mean())
    assert np.mean(gaps) < 3.5, gaps


@pytest.mark.parametrize("part", ["phantom", "registration"])
def test_the_test_head_is_not_looked_at(part) -> None:
    """Neither phantoms and registration nor their tests name its file."""
    folders = ROOT / "skfm_lib" / "data" / part, ROOT / "tests" / "data" / part
    files = [path for folder in folders for path in folder.rglob("*.py")]
    assert len(files) > 5
    for path in set(files) - {Path(__file__)}:
        assert not NAMES.search(path.read_text()), path


def test_only_reports_read_the_test_head() -> None:
    files = set((ROOT / "tests").rglob("test_*.py")) - {Path(__file__)}
    read = {path for path in files if "needs_cranium" in path.read_text()}
    assert {path.relative_to(ROOT).as_posix() for path in read} <= REPORTS
