"""Planted damage: where it is, how large, and that nothing else changes."""

import numpy as np
import pytest

from skfm_lib.data.bone_fractions import as_fraction, is_bone
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import skull_grid
from skfm_lib.evaluation.screening import anatomy, planted_damage, tables
from skfm_lib.evaluation.screening.measures import NAMES
from skfm_lib.evaluation.screening.planted_damage import DAMAGE, Damaged
from skfm_lib.evaluation.screening.reference_ranges import ScreeningResult
from skfm_lib.evaluation.screening.vault import vault_holes
from skfm_lib.utils.errors import SkfmError

SHAPE = (57, 44, 64)
GRID = skull_grid(SHAPE)
KINDS = {damage.name: damage for damage in DAMAGE}
CM3 = GRID.spacing**3 / 1000


@pytest.fixture(scope="module")
def skull():
    return phantom_skull(3, 5, SHAPE)


def planted(name, volume, size=None, seed=0):
    kind = KINDS[name]
    return kind.planted(volume, GRID, size or kind.size, seed)


@pytest.mark.parametrize("name", KINDS)
def test_damage_is_local_reproducible_and_of_the_same_kind(skull, name):
    one, two = planted(name, skull), planted(name, skull)
    assert one.dtype == skull.dtype and (one == two).all()
    changed = one != skull
    assert 0 < changed.mean() < 0.1
    bits = planted(name, is_bone(skull))
    assert bits.dtype == bool and (bits != is_bone(skull)).any()


def test_a_hole_has_its_area_and_nothing_is_added(skull):
    for size in (25.0, 40.0):
        areas = []
        for seed in range(3):
            holed = planted("hole in the vault", skull, size, seed)
            assert (holed <= skull).all()
            areas.append(vault_holes(as_fraction(holed) - 1 / 3, GRID))
        assert np.mean(areas) == pytest.approx(np.pi * (size / 20) ** 2, rel=0.4)


def test_a_loose_part_is_loose_and_has_its_volume(skull):
    more = planted("loose part", skull, 20.0)
    found, before = (anatomy.topology(v, GRID) for v in (more, skull))
    assert found["parts"] == before["parts"] + 1
    volume = np.pi / 6 * 2.0**3
    assert found["loose"] - before["loose"] == pytest.approx(volume, rel=0.4)
    added = (as_fraction(more) - as_fraction(skull)).sum() * CM3
    assert added == pytest.approx(volume, rel=0.1)


def test_blur_keeps_the_bone_and_lowers_the_relief(skull):
    soft = planted("blurred teeth", skull)
    relief = [anatomy.tooth_relief(v, GRID) for v in (skull, soft)]
    assert relief[1] < relief[0] / 2
    assert as_fraction(soft).sum() == pytest.approx(as_fraction(skull).sum(), rel=0.02)


def test_one_sided_loss_is_asymmetry(skull):
    lost = planted("one-sided loss", skull)
    assert (lost <= skull).all()
    assert anatomy.asymmetry(lost, GRID) > anatomy.asymmetry(skull, GRID) + 2


def test_a_half_open_vault_is_open_on_one_side(skull):
    x = GRID.axes()[0]
    for seed in range(3):
        opened = planted("half-open vault", skull, seed=seed)
        assert (opened <= skull).all()
        gone = is_bone(skull) & ~is_bone(opened)
        assert vault_holes(as_fraction(opened) - 1 / 3, GRID) > 20
        rows = np.argwhere(gone)
        assert GRID.axes()[2][rows[:, 2].min()] > 60  # mm: the upper part only
        assert 0.2 < gone.sum() / (is_bone(skull) & (GRID.axes()[2] > 90)).sum()
    assert len(x) == SHAPE[1]


def test_bad_sizes_and_volumes_are_refused(skull):
    for size in (-3.0, np.nan, np.inf):
        with pytest.raises(SkfmError, match="a size above 0"):
            KINDS["loose part"].planted(skull, GRID, size, 0)
    with pytest.raises(SkfmError, match="without bone"):
        planted("loose part", np.zeros_like(skull))
    with pytest.raises(SkfmError, match="as its grid has"):
        planted("loose part", skull[1:])


class Two:
    """Two skulls, of QS 2 and 5."""

    grid = GRID
    qualities = (2, 5)

    def __len__(self):
        return 2

    def volume(self, index):
        return phantom_skull(index, self.qualities[index], SHAPE)


def test_a_set_holds_the_scores_in_which_a_kind_can_occur():
    sets = planted_damage.damaged_sets(Two(), [50, 100])
    assert len(sets) == 2 * len(DAMAGE)
    teeth = sets["blurred teeth, 50 %"]
    assert isinstance(teeth, Damaged) and teeth.qualities == [5] and len(teeth) == 1
    assert teeth.size == KINDS["blurred teeth"].size / 2
    expected = planted("blurred teeth", phantom_skull(1, 5, SHAPE), teeth.size, 1)
    assert (teeth.volume(0) == expected).all()


def test_the_table_of_sensitivity_counts_what_failed_and_why():
    sets = planted_damage.damaged_sets(Two(), [100])
    name = "loose part, 100 %"
    excess = np.full((2, len(NAMES)), -1.0)
    excess[0, NAMES.index("loose bone")] = 2.0
    both = np.array([2, 5])
    result = ScreeningResult(both, both, excess, excess)
    rows = tables.sensitivity(
        {name: sets[name], "undamaged": Two()}, {name: result, "undamaged": result}
    )
    assert (
        rows[name]["size, mm"] == "16 (diameter)"
        and rows["undamaged"]["size, mm"] == "–"
    )
    assert rows[name]["skulls"] == 2 and rows[name]["fail"].value == 0.5
    assert rows[name]["mostly by"] == "loose bone 1"
    assert rows[name]["a failure because"] == KINDS["loose part"].reason
    assert rows["undamaged"]["a failure because"] == "–"
