"""Phantoms damaged on purpose: the right measure fires, and others mostly do not."""

from dataclasses import dataclass

import numpy as np
import pytest
from scipy import ndimage

from skfm_lib.data.bone_fractions import as_bytes, as_fraction
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.voxels import Grid, skull_grid
from skfm_lib.evaluation import screening
from skfm_lib.evaluation.screening import anatomy, tables
from skfm_lib.evaluation.screening.measures import (
    MEASURES,
    NAMES,
    SINGLE,
    Measurements,
)
from skfm_lib.evaluation.screening.reference_ranges import (
    ScreeningResult,
    ShapeModel,
    cross_fitted,
)
from skfm_lib.evaluation.screening.tolerance_limits import folds
from skfm_lib.evaluation.screening.vault import VaultModel
from skfm_lib.presets import paper_tables
from skfm_lib.utils.errors import SkfmError

SHAPE = (57, 44, 64)
GRID = skull_grid(SHAPE)
MIX = [2, 3, 4, 5, 6, 5]  # scores of the training phantoms, over and over
EACH = 9
FULL = np.uint8(255)


@dataclass
class Volumes:
    """Volumes in memory as a set of skulls."""

    volumes: list
    qualities: list
    grid: Grid = GRID

    def __len__(self):
        return len(self.volumes)

    def volume(self, index):
        return self.volumes[index]


def phantoms(qualities, first):
    """One phantom for each score, of seeds from `first` on."""
    seeds = range(first, first + len(qualities))
    return Volumes(
        [phantom_skull(s, q, SHAPE) for s, q in zip(seeds, qualities)], qualities
    )


@pytest.fixture(scope="module")
def ranges():
    skulls = phantoms(MIX * EACH, first=0)
    return screening.fit_ranges(
        screening.measure_skulls(skulls, "train"), skulls.qualities
    )


@pytest.fixture(scope="module")
def fresh(ranges):
    """New phantoms of scores 5 and 6 that pass, by their reference ranges."""
    skulls = phantoms([5, 5, 6] * 6, first=5000)  # limits of so few are tight
    passed = np.flatnonzero(~compared(ranges, skulls).failed)[:8]
    assert len(passed) == 8
    chosen = [skulls.volumes[i] for i in passed]
    return Volumes(chosen, [skulls.qualities[i] for i in passed])


def compared(ranges, skulls):
    found = screening.measure_skulls(skulls, "test")
    return ranges.compare(found, skulls.qualities, skulls.qualities)


def points():
    x, y, z = GRID.axes()
    return np.broadcast_arrays(x[None, :, None], y[:, None, None], z[None, None, :])


def ball(centre, radius):
    return sum((p - c) ** 2 for p, c in zip(points(), centre)) < radius**2


def drilled(bone):
    return bone * ~(ball((25, 60, 20), 12) | ball((60, -30, 60), 16))


def blurred(bone):
    """Teeth and what is near them, smoothed over a voxel."""
    inside = np.ones(SHAPE, bool)
    for p, (low, high) in zip(points(), anatomy.TEETH):
        inside &= (p > low - 6) & (p < high + 6)
    soft = as_bytes(ndimage.gaussian_filter(as_fraction(bone), 1.0))
    return np.where(inside, soft, bone)


def littered(bone):
    return np.where(ball((75, 90, -90), 12) | ball((-75, -85, 90), 9), FULL, bone)


def halved(bone):
    x, y, z = points()
    return bone * ~((x > 12) & (z < 15))


def shifted(bone):
    return np.roll(bone, (6, 0, -6), (0, 1, 2))


def jawless(bone):
    """Without the upper jaw, of which more is gone than teeth."""
    x, y, z = points()
    return bone * ~((np.abs(x) < 30) & (y > 40) & (z < -14) & (z > -48))


@pytest.mark.parametrize(
    ("damage", "fires", "may"),
    [
        (blurred, {"tooth relief"}, {"tunnels", "jaw holes"}),
        (littered, {"loose bone"}, {"parts", "asymmetry", "length", "breadth"}),
        (halved, {"asymmetry"}, {"bone volume", "misfit", "to nearest", "tunnels"}),
        (shifted, {"misfit", "to nearest"}, {"tooth relief", "jaw holes", "height"}),
        (jawless, {"jaw holes"}, {"tooth relief", "tunnels", "cavities"}),
    ],
)
def test_damage_fires_the_right_measure(ranges, fresh, damage, fires, may):
    volumes = [damage(bone) for bone in fresh.volumes]
    result = compared(ranges, Volumes(volumes, fresh.qualities))
    fired = (result.excess > 0).sum(axis=0)
    counts = dict(zip(NAMES, fired.tolist()))
    for name in fires:
        assert counts[name] >= 0.7 * len(volumes), f"{name}: {counts}"
    strange = sum(n for name, n in counts.items() if name not in fires | may)
    assert strange <= 0.1 * len(volumes) * len(counts), str(counts)


def test_a_hole_in_the_vault_fires_and_the_worst_reason_is_stated(ranges):
    skulls = phantoms([2, 3, 5, 3, 2], first=7000)
    holed = Volumes([drilled(b) for b in skulls.volumes], skulls.qualities)
    before, after = compared(ranges, skulls), compared(ranges, holed)
    column = NAMES.index("vault holes")
    intact = before.excess[:, column] <= 0  # phantoms have holes of their own at times
    assert intact.sum() >= 3 and (after.excess[intact, column] > 0).all()
    others = np.delete(after.excess > 0, column, axis=1)
    assert others[intact].mean() < 0.15
    first = int(np.flatnonzero(intact)[0])
    assert "vault holes" in after.reasons(first)[:2]
    stated = f"vault holes {after.values[first, column]:.3g} cm²"
    assert after.describe(first, "vault holes") == stated


def test_fresh_phantoms_fail_about_as_often_as_stated(ranges):
    skulls = phantoms([2, 3, 4, 5] * 6, first=9000)
    result = compared(ranges, skulls)
    taken = np.isfinite(result.excess)
    expected = (ranges.limits.share * taken).sum()
    found = (result.excess > 0).sum()
    assert found <= expected + 4 * np.sqrt(expected) + 3
    assert result.failed.mean() < 0.5


def test_another_score_is_a_conditioning_error_and_no_failure(ranges, fresh):
    found = screening.measure_skulls(fresh, "test")
    requested = [2] * len(fresh)
    result = ranges.compare(found, fresh.qualities, requested)
    assert result.misconditioned.all() and not result.failed.any()


def test_an_empty_volume_fails(ranges):
    empty = Volumes([np.zeros(SHAPE, np.uint8)], [5])
    result = compared(ranges, empty)
    assert result.failed.all() and not np.isnan(result.values).any()
    assert "bone volume" in result.reasons(0)
    assert result.describe(0, "bone volume") == "bone volume 0 cm³"


def test_findings_are_cached(tmp_path, fresh):
    cache = tmp_path / "found.npz"
    first = screening.measure_skulls(fresh, "test", cache)
    again = screening.measure_skulls(Volumes([], []), "nothing", cache)
    for name, values in vars(first).items():
        assert np.array_equal(values, getattr(again, name), equal_nan=True)


def test_bad_input_is_refused(ranges, fresh):
    wrong = Volumes([np.ones((5, 5, 5), bool)], [5])
    with pytest.raises(SkfmError, match="expected bits or bytes"):
        screening.measure_skulls(wrong, "wrong")
    found = screening.measure_skulls(fresh, "test")
    with pytest.raises(SkfmError, match=r"quality scores \[7\]"):
        ranges.compare(found, [7] * len(fresh), fresh.qualities)


def test_a_measure_that_is_nan_is_named(ranges, fresh):
    found = screening.measure_skulls(fresh, "test")
    found.values[2, 4] = np.nan
    with pytest.raises(SkfmError, match="bone volume nan of skull 2"):
        ranges.compare(found, fresh.qualities, fresh.qualities)


def test_volumes_of_nan_are_refused():
    nothing = Volumes([np.full(SHAPE, np.nan, np.float32)], [5])
    with pytest.raises(SkfmError, match="float32; expected bits or bytes"):
        screening.measure_skulls(nothing, "NaN")


def test_one_score_is_enough_for_limits():
    skulls = phantoms([5] * 6, first=0)
    found = screening.measure_skulls(skulls, "train")
    assert screening.fit_ranges(found, skulls.qualities).limits.scores.tolist() == [5]


def test_no_skulls_are_refused():
    with pytest.raises(SkfmError, match="no skulls of OTFM"):
        screening.measure_skulls(Volumes([], []), "OTFM")


def test_no_skull_is_compared_with_models_that_it_was_used_for():
    """A training skull's values do not change what is measured in its own fold."""
    rng = np.random.default_rng(0)
    scores = np.repeat([4, 5], 20)
    maps = np.full((40, 61, 61), 70.0) + rng.normal(size=(40, 1, 1))
    maps[:8, :, 30:] = np.nan  # cut off
    first = Measurements(
        rng.normal(size=(40, SINGLE)), maps, rng.random((40, 30)).astype(np.float32)
    )
    values = cross_fitted(first, scores, seed=0)
    for out in folds(scores, 0):
        other = first[np.arange(40)]
        other.vaults[out] = 40.0
        other.blocks[out] = 0.5
        changed = cross_fitted(other, scores, seed=0)
        model = VaultModel(first.vaults[~out], scores[~out])
        holes = [model.holes(m, q) for m, q in zip(maps[out], scores[out].tolist())]
        assert np.allclose(values[out, NAMES.index("vault holes")], holes)
        # Skulls of the fold measured by the models of the others, which are the same.
        same = ShapeModel(other.blocks[~out], scores[~out])
        misfit = same.misfit(other.blocks[out], scores[out])
        assert np.allclose(changed[out, NAMES.index("misfit")], misfit)
        beside = values[~out] != changed[~out]
        assert beside[:, NAMES.index("misfit")].any()  # other folds do depend on it


def result_of(requested, predicted, beyond):
    """ScreeningResult of which the first measure fails where `beyond`."""
    excess = np.full((len(requested), len(MEASURES)), -1.0)
    excess[:, 0] = np.where(beyond, 1.0, -1.0)
    return ScreeningResult(
        np.array(requested), np.array(predicted), np.abs(excess), excess
    )


def test_table_9_counts_and_takes_false_alarms_off():
    real = result_of([2] * 100, [2] * 98 + [3] * 2, [True] * 5 + [False] * 95)
    fake = result_of([2] * 200, [2] * 160 + [3] * 40, [True] * 60 + [False] * 140)
    rows = tables.table_9({"held out": real, "OTFM": fake}, real)
    assert "beyond chance" not in rows["held out"]
    assert rows["held out"]["failed generations"].value == 0.05
    otfm = rows["OTFM"]
    assert otfm["conditioning errors"].value == 0.2 and otfm["either"].value == 0.5
    assert otfm["beyond chance"].value == pytest.approx(0.25)
    low, high = otfm["failed generations"][1:]
    # Wilson 1927, by hand: centre and half-width for 60 of 200 at z = 1.96
    z2 = 1.959964**2
    centre, half = (60 + z2 / 2) / (200 + z2), np.sqrt(60 * 140 / 200 + z2 / 4)
    half *= 1.959964 / (200 + z2)
    assert (low, high) == pytest.approx((centre - half, centre + half), abs=1e-5)
    assert str(rows["OTFM"]["failed generations"]) == "30 % (24–37)"
    scores = tables.by_score({"OTFM": fake})
    assert scores["OTFM, mis-conditioned"]["QS 2"] == "40 of 200"


def test_worst_come_first():
    result = result_of([2, 2, 2], [2, 2, 2], [True, False, True])
    result.excess[2, 3] = 9.0
    assert result.worst_first().tolist() == [2, 0]
    assert result.reasons(2) == ["cavities", "parts"]
    assert result.farthest("cavities") == 2 and result.farthest("parts") == 0
    result.excess[:, 3] = -np.inf
    assert result.farthest("cavities") is None


def test_thresholds_are_stated_where_the_measure_is_taken(ranges):
    rows = tables.thresholds(ranges.limits)
    low, high = (ends[0, 4] for ends in (ranges.limits.low, ranges.limits.high))
    assert rows["bone volume"]["QS 2"] == f"{low:.0f} to {high:.0f}"
    assert rows["bone volume"]["unit"] == "cm³"
    assert set(rows["tooth relief"]) == {"unit", "QS 5", "QS 6"}
    assert rows["tooth relief"]["QS 5"] == f"≥ {ranges.limits.low[3, 8]:.3g}"
    assert rows["vault holes"]["QS 6"].startswith("≤ ")


def test_table_9_of_the_paper():
    printed = "DDPM 12% 32% OTFM 4% 6%".replace("%", "").split()
    rows = {printed[0]: printed[1:3], printed[3]: printed[4:6]}
    expected = {
        model: {
            "failed generations": int(failed) / 100,
            "conditioning errors": int(wrong) / 100,
        }
        for model, (failed, wrong) in rows.items()
    }
    assert paper_tables.TABLE_9 == expected
