"""Defects of the five kinds: one piece of bone, at its site, of its size."""

import numpy as np
import pytest
from scipy import ndimage

from skfm_lib.data.registration.coverage import CENTRE
from skfm_lib.data.voxels import skull_grid
from skfm_lib.tasks.skull_defects import SITES, cut_defect
from skfm_lib.utils.errors import SkfmError

GRID = skull_grid((76, 59, 86))  # 3.06 mm
SEEDS = range(12)


@pytest.fixture(scope="module")
def bone():
    """A vault: a spherical shell of 78 to 86 mm around the braincase's centre."""
    x, y, z = np.meshgrid(*GRID.axes(), indexing="xy")
    radius = np.sqrt(x**2 + y**2 + (z - CENTRE[2]) ** 2)
    return (radius > 78) & (radius < 86) & (z > 0)


@pytest.fixture(scope="module")
def cut(bone):
    return {k: [cut_defect(bone, k, GRID, s) for s in SEEDS] for k in SITES}


def middle(implant):
    return GRID.to_mm(np.argwhere(implant)).mean(axis=0)


@pytest.mark.parametrize("kind", SITES)
def test_a_defect_is_one_piece_of_the_bone_of_its_size(kind, bone, cut):
    least, most = SITES[kind].radius
    for implant in cut[kind]:
        assert not (implant & ~bone).any() and ndimage.label(implant)[1] == 1
        extent = np.ptp(GRID.to_mm(np.argwhere(implant)), axis=0).max()
        reach = 2 * (1.5 * most + SITES[kind].sideways)
        assert 1.2 * least < extent < reach
        # Through the bone: along the ray to its middle nothing is left.
        ahead = middle(implant) - CENTRE
        ray = CENTRE + ahead / np.linalg.norm(ahead) * np.arange(70, 95)[:, None]
        at = np.round(GRID.to_index(ray)).astype(int)
        at = at[(at < GRID.shape).all(axis=1)]
        assert not (bone & ~implant)[tuple(at.T)].any()


def test_each_kind_is_at_its_site(cut):
    for implant in cut["bilateral"]:
        x = GRID.to_mm(np.argwhere(implant))[:, 0]
        assert x.min() < -35 and x.max() > 35 and abs(x.mean()) < 15
    front = np.array([middle(implant) for implant in cut["frontoorbital"]])
    side = np.array([middle(implant) for implant in cut["parietotemporal"]])
    assert (front[:, 1] > 50).all() and (np.abs(front[:, 0]) > 15).all()
    assert (np.abs(side[:, 0]) > 45).all() and (side[:, 1] < 15).all()
    for middles in (front, side):  # on either side
        assert 0 < (middles[:, 0] > 0).sum() < len(SEEDS)


def test_random_defects_differ_and_are_on_the_vault(cut):
    first, second = (np.array([middle(i) for i in cut[f"random {n}"]]) for n in (1, 2))
    assert np.linalg.norm(first - second, axis=1).min() > 1
    assert first[:, 2].min() > CENTRE[2] - 15 and np.ptp(first, axis=0).min() > 40


def test_a_defect_follows_from_its_seed(bone, cut):
    repeated = cut_defect(bone, "random 1", GRID, SEEDS[3])
    assert (repeated == cut["random 1"][3]).all()
    assert (repeated != cut["random 1"][4]).any()


def test_what_cannot_be_cut_is_refused(bone):
    with pytest.raises(SkfmError, match="bilateral, frontoorbital"):
        cut_defect(bone, "frontal", GRID, 0)
    with pytest.raises(SkfmError, match="no bone where the defect is to be"):
        cut_defect(np.zeros_like(bone), "bilateral", GRID, 0)
