"""Frozen limits: remade they are the same, and other populations are refused."""

import json

import numpy as np
import pytest

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation import screening
from skfm_lib.evaluation.screening import frozen_limits
from skfm_lib.evaluation.screening.measures import MEASURES, NAMES, measure_skulls
from skfm_lib.evaluation.screening.reference_ranges import SHARE, cross_fitted
from skfm_lib.presets import preset
from skfm_lib.study import Study
from skfm_lib.utils.errors import SkfmError

COVERED = sorted(path.stem for path in frozen_limits.FOLDER.glob("*.json"))


@pytest.fixture(scope="module")
def training(tmp_path_factory):
    """The training skulls of preset tiny, and the limits that they set now."""
    folder = tmp_path_factory.mktemp("skulls")
    remade = frozen_limits.freeze_preset("tiny", folder)
    return SkullSet(folder, "train"), remade


@pytest.fixture(scope="module")
def measured(training):
    return measure_skulls(training[0], "train")


def study(folder, made_from="phantoms", name="tiny"):
    """A study whose data stage is finished."""
    made = Study(name, preset(name), 0, folder)
    made.stage("01_preprocess", {"data": made_from}).finish(made_from=made_from)
    return made


def test_the_study_s_own_presets_are_covered():
    assert {"tiny", "quick"} <= set(COVERED)


@pytest.mark.parametrize("name", COVERED)
def test_files_hold_finite_limits_of_the_preset_s_population(name):
    frozen = frozen_limits.read_limits(frozen_limits.FOLDER / f"{name}.json")
    settings = preset(name)
    assert frozen.population["shape"] == list(settings.vqvae.output_shape)
    assert sum(frozen.population["skulls"].values()) == settings.data.train_skulls
    limits, low = frozen.limits, frozen.limits.low
    for m, measure in enumerate(MEASURES):
        rows = np.isin(limits.scores, measure.scores or limits.scores)
        assert np.isfinite(limits.high[rows, m]).all() == (measure.tail != "low")
        assert np.isfinite(low[rows, m]).all() == (measure.tail != "high")
        assert np.isnan(limits.high[~rows, m]).all()
        if measure.tail == "high":
            assert (limits.high[rows, m] >= measure.tolerated).all()
    assert (limits.high[:, NAMES.index("asymmetry")] > 0).all()


def test_remade_limits_are_the_frozen_ones(training, tmp_path):
    path = tmp_path / "tiny.json"
    frozen_limits.write_limits(path, training[1])
    now = frozen_limits.read_limits(path)
    then = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json")
    assert now.population == then.population
    for key in ("low", "high", "spread", "share"):
        one, two = getattr(now.limits, key), getattr(then.limits, key)
        assert np.allclose(one, two, rtol=0.02, atol=0.02, equal_nan=True), key
    assert np.allclose(now.means, then.means, rtol=0.02, atol=0.02, equal_nan=True)


def test_phantoms_are_compared_with_the_file(training, measured, capsys, tmp_path):
    ranges = screening.study_ranges(study(tmp_path), measured, training[0])
    then = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json")
    assert np.array_equal(ranges.limits.high, then.limits.high, equal_nan=True)
    assert then.made in capsys.readouterr().out


@pytest.mark.parametrize(
    ("made_from", "name", "share"),
    [("scans", "tiny", None), ("phantoms", "paper", None), ("phantoms", "tiny", 0.02)],
)
def test_others_are_compared_with_their_own_limits(
    training, measured, capsys, tmp_path, made_from, name, share
):
    skulls, given = training[0], study(tmp_path, made_from, name)
    ranges = screening.study_ranges(given, measured, skulls, share)
    own = screening.fit_ranges(measured, skulls.qualities, share or SHARE)
    assert np.array_equal(ranges.limits.high, own.limits.high, equal_nan=True)
    assert "40 training skulls of this study" in capsys.readouterr().out


def test_another_population_is_refused_in_one_line(training, measured):
    then = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json")
    skulls = training[0]
    values = cross_fitted(measured, skulls.qualities)
    then.check(values, skulls.qualities, skulls.shape)
    thicker = values.copy()
    thicker[:, NAMES.index("bone volume")] *= 2
    with pytest.raises(
        SkfmError, match="another population: bone volume shifted"
    ) as error:
        then.check(thicker, skulls.qualities, skulls.shape)
    assert "\n" not in str(error.value) and "next: " in str(error.value)
    with pytest.raises(SkfmError, match=r"shape \[57, 44, 64\]"):
        then.check(values, skulls.qualities, (57, 44, 64))
    with pytest.raises(SkfmError, match="skulls {"):
        then.check(values[1:], skulls.qualities[1:], skulls.shape)


def test_another_seed_draws_from_the_same_population(tmp_path):
    content = frozen_limits.freeze_preset("tiny", tmp_path / "skulls", seed=1)
    path = tmp_path / "tiny.json"
    frozen_limits.write_limits(path, content)
    other = frozen_limits.read_limits(path)
    then = frozen_limits.read_limits(frozen_limits.FOLDER / "tiny.json")
    assert not np.allclose(other.means, then.means, equal_nan=True)
    train = SkullSet(tmp_path / "skulls", "train")
    values = cross_fitted(measure_skulls(train, "train"), train.qualities)
    then.check(values, train.qualities, train.shape)


def test_a_file_of_other_measures_or_damaged_is_named(tmp_path):
    path = tmp_path / "tiny.json"
    content = json.loads((frozen_limits.FOLDER / "tiny.json").read_text())
    content["measures"]["beauty"] = content["measures"].pop("misfit")
    path.write_text(json.dumps(content))
    with pytest.raises(SkfmError, match="beauty.*evaluation.screening tiny"):
        frozen_limits.read_limits(path)
    path.write_text("{}")
    with pytest.raises(SkfmError, match="lacks made"):
        frozen_limits.read_limits(path)
