"""Registration beside the aligner: motions undone, starts added, errors counted."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from own_frame import whole_or_part
from scipy.spatial.transform import Rotation

from skfm_lib.data.manifest import SPLITS, Skull
from skfm_lib.data.phantom_set import PAPER_TRAIN, phantom_seed
from skfm_lib.data.point_clouds import CloudSet
from skfm_lib.data.registration import canonical_pose
from skfm_lib.data.registration.rigid_icp import rigid_matrix
from skfm_lib.data.registration.shape_model import AVERAGE, PEOPLE, Fit
from skfm_lib.data.voxels import sample_surface
from skfm_lib.models import Aligner
from skfm_lib.presets import preset
from skfm_lib.tasks import pose_baselines
from skfm_lib.tasks.pose_baselines import (
    ALIGNER,
    BOTH,
    FRAME,
    ICP,
    REGISTRATION,
    UNALIGNED,
    found_motions,
    motions_to_frame,
    pose_errors,
    remaining,
)
from skfm_lib.tasks.pose_tables import by_score, in_words, overall
from skfm_lib.utils.device import Device

CPU = Device(torch.device("cpu"), torch.float32)
SEED = 8005
METHODS = [UNALIGNED, ICP, REGISTRATION, ALIGNER, f"{ALIGNER} + {ICP}", BOTH]


@pytest.fixture(scope="module")
def clouds():
    points = sample_surface(whole_or_part(SEED, 5), 4096, seed=0)
    cloud = torch.from_numpy(points).half()
    return CloudSet(["other", "it"], [4, 5], torch.stack([cloud.flip(0), cloud]))


def motion(axis, degrees, shift=0.0):
    """4×4."""
    return rigid_matrix(Rotation.from_euler(axis, degrees, degrees=True), shift)


def test_errors_are_those_of_the_motion_that_remains():
    points = np.random.default_rng(0).normal(size=(50, 3)) * (60, 80, 70)
    shifted = remaining(motion("x", 0, np.array([3.0, 0, 4])), points)
    assert shifted["distance"] == pytest.approx(5) and shifted["rotation"] == 0
    left = remaining(motion("z", 10), points)
    chord = 2 * np.sin(np.deg2rad(5)) * np.hypot(points[:, 0], points[:, 1]).mean()
    assert left["rotation"] == pytest.approx(10)
    assert left["distance"] == pytest.approx(chord)


def test_no_phantom_of_a_study_is_in_the_registration_s_reference():
    seeds = [
        phantom_seed(0, split, quality, index)
        for split in SPLITS[:3]
        for quality, count in PAPER_TRAIN.items()
        for index in range(count)
    ]
    assert min(seeds) >= PEOPLE and AVERAGE not in seeds


@pytest.fixture
def fewer(monkeypatch):
    """A search of two rotations, which takes a second less."""
    monkeypatch.setattr(canonical_pose, "ANGLES", (0.0,))


def test_registration_finds_a_phantom_that_an_untrained_network_does_not(clouds, fewer):
    settings = preset("tiny").aligner.but(degrees=15.0, millimetres=50.0)
    model = Aligner(settings).eval()
    skull = Skull("it", "test", 5, "", f"phantom seed {SEED}", 4.08)
    frames = motions_to_frame([skull])
    errors = pose_errors(model, clouds, [1], CPU, 0, frames)
    assert errors["method"].tolist() == [*METHODS, FRAME]
    assert set(errors["name"]) == {"it"} and set(errors["quality"]) == {5}
    distance = errors.set_index("method")["distance"]
    assert distance[REGISTRATION] < distance[FRAME] + 3 < 8 < distance[UNALIGNED]
    assert distance[BOTH] < distance[FRAME] + 3 < distance[ALIGNER]
    rotation = errors.set_index("method")["rotation"]
    assert rotation[REGISTRATION] < 5 < rotation[UNALIGNED]
    assert motions_to_frame([replace(skull, source="scan of 7485f9fdbe")]) == [None]


def test_a_start_beyond_the_search_helps_both_methods(clouds, fewer):
    """Upside down, a skull is found only from a pose that is near the true one."""
    over = motion("x", 180)
    surface = clouds.points[1].double().numpy() @ over[:3, :3].T
    found = found_motions(surface, np.linalg.inv(over))
    points = clouds.points[1, :256].double().numpy()
    left = {method: remaining(m @ over, points) for method, m in found.items()}
    assert left[REGISTRATION]["distance"] > 20 and left[ICP]["distance"] > 20
    assert left[BOTH]["distance"] < 8 and left[f"{ALIGNER} + {ICP}"]["distance"] < 8


@pytest.mark.parametrize("more", [1.0, -1.0], ids=["worse", "better"])
def test_the_smaller_residual_is_kept(more, clouds, monkeypatch):
    """The network's start is refined, and left out where it fits less well."""
    own = Fit(motion("x", 20), np.zeros(0), energy=5.0)
    refined = Fit(motion("z", 40), np.zeros(0), energy=5.0 + more)
    monkeypatch.setattr(pose_baselines, "find_poses", lambda points: [own])
    monkeypatch.setattr(pose_baselines, "refine_pose", lambda points, guess: refined)
    found = found_motions(clouds.points[1].double().numpy(), np.eye(4))
    kept = own if more > 0 else refined
    assert (found[BOTH] == kept.matrix).all()
    assert (found[REGISTRATION] == own.matrix).all()


@pytest.fixture
def errors():
    distance = {REGISTRATION: 2.0, ALIGNER: 7.0, BOTH: 2.0, FRAME: 1.5}
    rows = [
        {
            "name": f"skull {n}",
            "quality": 2 + n % 2,
            "method": method,
            "distance": 30.0 if (method, n) == (REGISTRATION, 0) else mm + 0.1 * n,
            "rotation": 2 * mm,
        }
        for n in range(8)
        for method, mm in distance.items()
    ]
    return pd.DataFrame(rows)


def test_tables_have_means_medians_and_shares(errors):
    rows = overall(errors)
    row = rows[REGISTRATION]
    assert row["mean, mm"].value == pytest.approx((30 + 7 * 2 + 2.8) / 8)
    assert row["median, mm"] == pytest.approx(2.45)
    assert row["above 5 mm"].value == 1 / 8 and rows[ALIGNER]["above 5 mm"].value == 1
    assert row["mean, °"].value == row["median, °"] == 4
    scores = by_score(errors)
    assert list(scores[BOTH]) == ["QS 2", "QS 3"]
    assert scores[ALIGNER]["QS 2"] == "7.3 / 7.3 mm, 4 of 4, 14.0°"


def test_the_sentences_count_what_the_tables_show(errors):
    text = in_words(errors)
    assert "Of 8 skulls, 7 are within 5 mm by registration, 0 by the aligner" in text
    assert "8 by both" in text and "another one for 1 of 8 skulls" in text
    assert "closer by more than 1 mm for 1, farther by as much for 0" in text
    assert "lie 1.9 mm from their own skull frames" in text
    distances = {ALIGNER: 1.0, REGISTRATION: 4.0}
    other = errors.assign(
        distance=errors["method"].map(distances).fillna(errors["distance"])
    )
    assert "Registration is farther off than the aligner" in in_words(other)
    without = errors[errors["method"] != FRAME]
    assert "own skull frames" not in in_words(without)
