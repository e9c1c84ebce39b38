"""Which phantoms and which real heads are compared."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from skfm_lib.data.dataset import SkullSet
from skfm_lib.data.manifest import read_manifest
from skfm_lib.data.phantom import phantom_skull
from skfm_lib.data.phantom_set import phantom_skulls
from skfm_lib.evaluation.population import skulls as population_skulls
from skfm_lib.evaluation.population.measures import UNITS
from skfm_lib.evaluation.population.region import Population
from skfm_lib.evaluation.population.skulls import (
    FEWEST,
    FINEST,
    measuring_shape,
    phantom_seeds,
    prepared_heads,
)
from skfm_lib.utils.errors import SkfmError

SHAPE = (29, 22, 32)


def test_the_seeds_are_those_of_the_skulls(tmp_path):
    phantom_skulls(tmp_path, SHAPE, {5: 2}, {2: 1}, seed=0, workers=1)
    train = SkullSet(tmp_path, "train")
    seeds = phantom_seeds(train)
    assert len({*seeds, *phantom_seeds(SkullSet(tmp_path, "test"))}) == 3
    for item, seed in enumerate(seeds):
        assert np.array_equal(train.volume(item), phantom_skull(seed, 5, SHAPE))


def test_of_a_small_set_of_scans_enough_phantoms_are_compared(tmp_path):
    phantom_skulls(tmp_path, SHAPE, {5: 2}, {2: 1}, seed=0, workers=1)
    rows = [replace(row, source="scan of p1") for row in read_manifest(tmp_path)]
    seeds = phantom_seeds(SkullSet(tmp_path, "train", rows))
    assert seeds == list(range(FEWEST))
    values = np.random.default_rng(0).standard_normal((FEWEST, len(UNITS)))
    measures = [dict(zip(UNITS, row.tolist())) for row in values]
    assert Population(measures).locate(measures[0]).limit > 0


def test_measures_are_taken_at_2_mm_at_the_finest():
    assert measuring_shape(FINEST) == FINEST == measuring_shape((456, 352, 512))


def test_without_heads_a_line_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SKFM_HEADS", str(tmp_path / "none"))
    assert prepared_heads(None, tmp_path / "out", SHAPE) == []
    assert "no real heads are compared" in capsys.readouterr().out
    broken = tmp_path / "broken" / "head.nii.gz"
    broken.parent.mkdir()
    broken.write_bytes(b"no scan")
    monkeypatch.setenv("SKFM_HEADS", str(broken.parent))
    assert prepared_heads(None, tmp_path / "out", SHAPE) == []
    assert "head" in capsys.readouterr().out
    with pytest.raises(SkfmError, match="mine does not exist"):
        prepared_heads(str(tmp_path / "mine"), tmp_path / "out", SHAPE)


def test_heads_with_a_score_are_used_and_heads_may_change(tmp_path, monkeypatch):
    def prepared(heads, folder, shape):
        phantom_skulls(folder, shape, {5: 1}, {2: 1}, seed=0, workers=1)
        return SimpleNamespace(problems={})

    compared = []
    monkeypatch.setattr(population_skulls, "prepare", prepared)
    monkeypatch.setattr(
        population_skulls, "real_scans", lambda _, skulls: compared.append(skulls) or []
    )
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
        prepared_heads(str(tmp_path / name), tmp_path / "out", SHAPE)
    assert [len(skulls) for skulls in compared] == [2, 2]
    assert compared[0].folder != compared[1].folder
