"""Fields of view: measured on known volumes and phantoms, and drawn from a set."""

import json
from collections import Counter

import numpy as np
import pytest

from skfm_lib.data import field_of_view as module
from skfm_lib.data.field_of_view import (
    LEAST_BONE,
    ROUNDING,
    VERTEX,
    FieldOfView,
    FieldsOfView,
    field_of_view,
    measured_fields,
)
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom.field_of_view import ABOVE, CAPLESS, SLABS
from skfm_lib.data.voxels import skull_grid
from skfm_lib.presets.grid_sizes import scaled_shape
from skfm_lib.utils.errors import SkfmError

SHAPE = scaled_shape(1 / 16)
GRID = skull_grid(SHAPE)
FIELDS = [(-46.0, 61.0), (-44.0, 59.0), (-36.0, 119.0), (-40.0, 112.4), (-2.0, 120.0)]
KNOWN = FieldsOfView.of(FIELDS, [4, 4, 4, 4, 2])


@pytest.mark.parametrize("kind", [bool, np.uint8])
def test_the_field_of_view_of_a_box_is_its_height(kind):
    volume = np.zeros(SHAPE, kind)
    volume[8:16, 5:15, 3:21] = 255
    z = GRID.axes()[2]
    found = field_of_view(volume, GRID)
    assert found.begin == pytest.approx(z[3] - GRID.spacing / 2, abs=1e-3)
    assert found.end - found.begin == pytest.approx(18 * GRID.spacing, abs=2e-3)


def test_less_bone_than_counts_changes_nothing():
    volume = np.zeros(SHAPE, bool)
    volume[8:16, 5:15, 3:21] = True
    before = field_of_view(volume, GRID)
    volume[2, 2, [0, -1]] = True
    assert GRID.spacing**2 / 100 < LEAST_BONE < 2 * GRID.spacing**2 / 100
    assert field_of_view(volume, GRID) == before
    volume[3, 2, -1] = True
    assert field_of_view(volume, GRID).end > before.end


def test_a_volume_without_bone_is_named():
    with pytest.raises(SkfmError, match="skull-7 has no slice with 1 cm² of bone"):
        field_of_view(np.zeros(SHAPE, np.uint8), GRID, "skull-7")


def upper_border(seed, quality):
    """z of the upper border of a phantom's scan at the face; its first random draws."""
    rng = np.random.default_rng([seed, 6])
    _, high, _ = (rng.uniform(*limits) for limits in SLABS[quality])
    rng.normal()
    cut = quality == 6 or (quality == 4 and rng.random() < CAPLESS)
    return high if cut else ABOVE


@pytest.mark.parametrize("quality", [2, 4, 5, 6])
def test_whole_and_cut_vaults_of_phantoms_are_told_apart(quality):
    borders = [upper_border(seed, quality) for seed in range(6)]
    assert quality != 4 or len({border == ABOVE for border in borders}) == 2
    for seed, border in enumerate(borders):
        found = field_of_view(phantom_skull(seed, quality, SHAPE), GRID)
        if border == ABOVE:
            assert found.end >= VERTEX - ROUNDING / 2
        else:  # tilted, so that it may be higher at the back of the head
            assert found.end == pytest.approx(border, abs=16)
            assert found.end < VERTEX - ROUNDING / 2


def test_fields_of_view_are_measured_once(phantoms, tmp_path, monkeypatch):
    kept = tmp_path / "fields.json"
    found = measured_fields(phantoms.folder, phantoms.skulls, kept)
    each = [phantoms.volume(i) for i in range(len(phantoms))]
    assert found == [field_of_view(volume, phantoms.grid) for volume in each]
    monkeypatch.setattr(module, "read_volume", lambda path: pytest.fail("again"))
    backwards = measured_fields(phantoms.folder, phantoms.skulls[::-1], kept)
    assert backwards == found[::-1]


def test_what_is_kept_with_the_weights_is_rounded():
    record = json.loads(json.dumps(KNOWN.as_dict()))
    assert record == {
        "2": [[0.0, 120.0, 1]],
        "4": [[-45.0, 60.0, 2], [-40.0, 110.0, 1], [-35.0, 120.0, 1]],
    }
    assert FieldsOfView.from_dict(record) == KNOWN


def test_a_seed_gives_one_of_the_fields_as_often_as_it_occurs():
    drawn = [KNOWN.draw(4, seed) for seed in range(400)]
    assert drawn == [KNOWN.draw(4, seed) for seed in range(400)]
    assert len(set(drawn)) == 400  # moved within the rounding
    rounded = [FieldOfView(*(ROUNDING * round(z / ROUNDING) for z in f)) for f in drawn]
    often = Counter(rounded)
    assert set(often) == set(KNOWN.counts[4])
    # Four standard deviations of the binomial distribution.
    for field, count in KNOWN.counts[4].items():
        p = count / 4
        assert abs(often[field] - 400 * p) < 4 * np.sqrt(400 * p * (1 - p))


def test_a_vault_may_be_asked_for():
    for seed in range(20):
        assert KNOWN.draw(4, seed, "cut").end < 63
        assert KNOWN.draw(4, seed, "whole").end > VERTEX
    assert KNOWN.draw(4, 0, (-40.0, 100.0)) == FieldOfView(-40.0, 100.0)


@pytest.mark.parametrize(
    ("quality", "asked", "message"),
    [
        (2, "cut", "a cut vault for QS 2.*another score or another vault"),
        (6, None, "a field of view for QS 6; expected one that a training skull"),
        (4, "half", "vault 'half'; expected whole or cut"),
        (4, (60.0, -40.0), "from 60 to -40 mm; expected one that begins below its end"),
        (4, (float("nan"), 60.0), "from nan to 60 mm"),
        (4, (-60.0, 60.0), "-60 to 60 mm for QS 4; expected a begin from -47.5 to -32"),
        (4, (-40.0, 130.0), "-40 to 130 mm for QS 4.*an end from 57.5 to 122.5 mm"),
    ],
)
def test_what_no_training_skull_has_is_refused(quality, asked, message):
    with pytest.raises(SkfmError, match=message):
        KNOWN.draw(quality, 0, asked)
