"""Implants in voxels: what each method can fill, and what it cannot."""

import numpy as np
import pytest
import torch

from skfm_lib.data.bone_fractions import is_bone
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.point_clouds import distance_to_surface
from skfm_lib.data.registration.coverage import CENTRE
from skfm_lib.data.registration.shape_model import FINE
from skfm_lib.data.voxels import skull_grid
from skfm_lib.metrics import dice
from skfm_lib.models import PointAttN
from skfm_lib.presets import preset
from skfm_lib.tasks import implant
from skfm_lib.tasks.implant_benchmark import defective_skulls, fine_shape, scores
from skfm_lib.tasks.implant_methods import (
    COMPLETER,
    GIVEN,
    LINEAR,
    MIRRORED,
    Defective,
    completer_implant,
    implants,
    mirror_image,
    missing_part,
    shape_model,
)
from skfm_lib.tasks.skull_defects import SITES, cut_defect
from skfm_lib.utils.device import Device
from skfm_lib.utils.errors import SkfmError

CPU = Device(torch.device("cpu"), torch.float32)
GRID = skull_grid((76, 59, 86))  # 3.06 mm


@pytest.fixture(scope="module")
def shell():
    """An ellipsoidal shell, 9 mm thick: its left and right sides are alike."""
    x, y, z = np.meshgrid(*GRID.axes(), indexing="xy")
    z = z - CENTRE[2]
    outer, inner = (
        (x / (70 - t)) ** 2 + (y / (86 - t)) ** 2 + (z / (78 - t)) ** 2 < 1
        for t in (0, 9)
    )
    return outer & ~inner


def defective(bone, kind, seed=0):
    removed = cut_defect(bone, kind, GRID, seed)
    near = GRID.to_mm(np.argwhere(removed)).mean(axis=0)
    return Defective(bone & ~removed, GRID, near), removed


@pytest.mark.parametrize("kind", SITES)
def test_of_a_complete_skull_all_that_is_missing_is_taken(kind, shell):
    skull, removed = defective(shell, kind)
    made = missing_part(shell, skull)
    assert not (made & skull.bone).any() and dice(made, removed) > 0.97
    crumbs = shell.copy()
    crumbs[0, 0, 0] = crumbs[-3:, -3:, -3:] = True  # bone far from the defect
    assert (missing_part(crumbs, skull) == made).all()


def test_nothing_is_missing_where_the_bone_is_as_complete(shell):
    skull, _ = defective(shell, "random 1")
    assert not missing_part(skull.bone, skull).any()


def test_the_mirrored_skull_fills_one_side_and_not_the_midline(shell):
    skull, removed = defective(shell, "parietotemporal")
    assert dice(missing_part(mirror_image(skull), skull), removed) > 0.9
    skull, removed = defective(shell, "bilateral")
    assert dice(missing_part(mirror_image(skull), skull), removed) < 0.5


def test_the_mirror_image_is_fitted_to_a_skull_that_leans(shell):
    """Shifted by two voxels, its midplane is 6 mm from that of the frame."""
    leaning = np.roll(shell, 2, axis=1)
    skull, removed = defective(leaning, "parietotemporal")
    assert dice(missing_part(mirror_image(skull), skull), removed) > 0.85


def test_the_shape_model_fills_a_phantom_that_it_has_not_seen():
    grid = skull_grid(FINE)
    bone = is_bone(phantom_skull(8005, 5, FINE))
    removed = cut_defect(bone, "bilateral", grid, 1)
    near = grid.to_mm(np.argwhere(removed)).mean(axis=0)
    skull = Defective(bone & ~removed, grid, near)
    assert dice(missing_part(shape_model(skull), skull), removed) > 0.6


def test_a_completer_that_knows_the_skull_fills_it(shell, monkeypatch):
    skull, removed = defective(shell, "parietotemporal")
    whole = Defective(shell, GRID, skull.near)
    index = np.argwhere(shell)
    rng = np.random.default_rng(0)
    some = index[rng.integers(len(index), size=60_000)]
    cloud = GRID.to_mm(some + rng.uniform(-0.5, 0.5, some.shape))
    monkeypatch.setattr(
        implant, "complete", lambda *_: torch.from_numpy(cloud).float()[None]
    )
    model = PointAttN(preset("tiny").completer)
    made = implants(model, skull, CPU)
    assert list(made) == [COMPLETER, GIVEN, MIRRORED, LINEAR]
    assert all(not (mask & skull.bone).any() for mask in made.values())
    for method in (COMPLETER, GIVEN):
        assert dice(made[method], removed) > 0.7
    distance = distance_to_surface(cloud, whole.mesh)
    assert not completer_implant(cloud, distance, whole).any()


def test_no_implant_has_no_overlap_and_no_distance(shell):
    skull, removed = defective(shell, "random 2")
    none = scores(np.zeros_like(shell), removed, skull)
    assert none == {"dsc": 0.0, "border_dsc": 0.0, "hd95": None}
    assert scores(removed, removed, skull) == {"dsc": 1, "border_dsc": 1, "hd95": 0}


def test_phantoms_get_a_defect_of_each_kind_on_a_fine_grid():
    assert (
        skull_grid(fine_shape(1.0)).spacing <= 1.0 < skull_grid((224, 172, 252)).spacing
    )
    shape = fine_shape(4.0)
    found = list(defective_skulls(3, shape))
    assert [kind for kind, *_ in found] == list(SITES)
    bone = is_bone(phantom_skull(3, 5, shape))
    for _, skull, removed in found:
        assert (skull.bone ^ removed == bone).all() and removed.any()
        assert skull.distance[removed[skull.box]].max() > 5
    with pytest.raises(SkfmError, match="mm above 0"):
        fine_shape(0.0)
