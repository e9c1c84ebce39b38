"""When a set is within the noise of its reference, and where that begins."""

from itertools import product

import numpy as np
import pytest

from skfm_lib.evaluation.sampling_steps.comparison import (
    Comparison,
    by_method,
    compare,
    costs,
    exchange_test,
    fewest_evaluations,
    panels,
    record,
    table,
)
from skfm_lib.evaluation.sampling_steps.grid import SamplerSetting, sampler_settings
from skfm_lib.evaluation.sampling_steps.sampling import SampledSet
from skfm_lib.evaluation.table1_columns import BETWEEN_SETS
from skfm_lib.generation import Sampler
from skfm_lib.metrics import Interval, frechet_distance, kernel_distance
from skfm_lib.presets import preset

COUNTS, SAMPLING = [1, 4, 16], preset("tiny").sampling


def rng(*seed):
    return np.random.default_rng(seed)


def sampled(setting, features):
    evaluations = setting.sampler.evaluations
    return SampledSet(setting, features, 0.01 * evaluations, 0.002, 2**30)


def study(error, n=60, d=4):
    """A sweep in which every set differs from its reference by `error`."""
    start, other = rng(1).normal(size=(2, n, d))
    return [
        sampled(s, (other if s.repeat else start) + error(s) * np.ones(d))
        for s in sampler_settings(SAMPLING, COUNTS)
    ]


def test_reach_is_that_of_all_exchanges():
    real, fake, reference = rng(2).normal(size=(3, 8, 2)) + np.arange(3)[:, None, None]
    found = exchange_test(real, fake, reference, seed=0)
    for name, measure in (("FID ↓", frechet_distance), ("KID ↓", kernel_distance)):
        every = []
        for coins in product([False, True], repeat=8):
            c = np.array(coins)[:, None]
            a, b = np.where(c, fake, reference), np.where(c, reference, fake)
            every.append(abs(measure(real, a) - measure(real, b)))
        value, low, high = found[name]
        assert value == pytest.approx(measure(real, fake) - measure(real, reference))
        assert value - low == pytest.approx(high - value)
        assert np.quantile(every, 0.85) < high - value <= max(every)


def test_the_noise_is_the_spread_between_sets_of_other_noise():
    # In more dimensions than skulls, where half-sampling would be too wide.
    real = rng(3).normal(size=(60, 40))
    draw = lambda i: rng(4, i).normal(size=(30, 40))  # noqa: E731
    pairs = [(draw(2 * i), draw(2 * i + 1)) for i in range(60)]
    gaps = [kernel_distance(real, a) - kernel_distance(real, b) for a, b in pairs]
    reaches = [exchange_test(real, a, b, seed=0)["KID ↓"] for a, b in pairs[:8]]
    found = np.mean([i.high - i.value for i in reaches])
    assert found == pytest.approx(np.quantile(np.abs(gaps), 0.95), rel=0.3)


def test_a_set_like_its_reference_is_within_and_a_worse_one_is_not():
    sets = study(lambda setting: 1.0 if setting.sampler.evaluations == 1 else 0.0)
    points = compare(sets, rng(5).normal(size=(60, 4)), seed=0)
    assert [point.sampled for point in points] == sets
    for point in points:
        assert tuple(point.values) == BETWEEN_SETS
        for name in ("FID ↓", "KID ↓"):
            if not point.sampled.setting.repeat:
                assert point.within_noise[name] == (point.evaluations > 1)
            assert point.values[name].low < point.values[name].high
            assert point.noise[name] > 0


def test_pairing_tells_apart_what_the_noise_hides():
    sets = study(lambda setting: 0.2 if setting.sampler.evaluations == 1 else 0.0)
    for point in compare(sets, rng(5).normal(size=(60, 4)), seed=0):
        if point.evaluations == 1:
            assert point.within_noise["FID ↓"] and not point.indistinguishable
        elif not point.sampled.setting.repeat:
            assert point.within_noise["FID ↓"] and point.indistinguishable


def test_every_model_has_its_own_reference():
    # DDPM is far worse throughout, but not worse than its own reference.
    sets = study(lambda setting: 3.0 if setting.model == "ddpm" else 0.0)
    points = compare(sets, rng(5).normal(size=(60, 4)), seed=0)
    first = [p for p in points if not p.sampled.setting.repeat]
    assert all(p.within_noise["FID ↓"] for p in first)
    ddpm, shortcut, ours = (
        by_method(points)[k][0].reference("FID ↓").value
        for k in ("DDPM, ddim", "shortcut", "ours, euler")
    )
    assert ddpm > ours + 10 and shortcut == pytest.approx(ours)


def test_the_evaluation_for_the_symmetry_has_no_column_of_its_own():
    sets = study(lambda setting: 0.0)
    rows = table(compare(sets, rng(5).normal(size=(60, 4)), seed=0), "PR ↑")
    assert all(list(row) == ["1", "4", "16"] for row in rows.values())
    assert all(rows[k]["16"] for k in ("OTFM, euler", "ours, euler", "shortcut"))


def point(method, evaluations, fid=True, kid=True, repeat=False, low=0.1):
    setting = SamplerSetting("otfm", Sampler(method, evaluations), repeat)
    values = dict.fromkeys(BETWEEN_SETS, Interval(2.0, 1.0, 3.0))
    excess = dict.fromkeys(("FID ↓", "KID ↓"), Interval(0.5, low, 0.9))
    noise = {"FID ↓": 1.0 if fid else 0.4, "KID ↓": 1.0 if kid else 0.4}
    return Comparison(sampled(setting, np.zeros((0, 4))), values, excess, noise)


def test_the_fewest_are_those_from_which_on_all_are_within():
    points = [
        point("euler", 1, fid=True),  # lucky, since 2 is not
        point("euler", 2, fid=False),
        point("euler", 4, kid=False),
        point("euler", 8, low=-0.1),
        point("euler", 16),  # distinguishable, as some are by chance
        point("euler", 16, fid=False, repeat=True),  # not one of the method's
        point("ddim", 1),
        point("ancestral", 16, fid=False),
    ]
    rows = fewest_evaluations(points)
    both = {method: row["both"] for method, row in rows.items()}
    assert both == {"OTFM, euler": 8, "OTFM, ddim": 1, "OTFM, ancestral": None}
    assert rows["OTFM, euler"] == {
        "FID ↓": 4,
        "KID ↓": 8,
        "both": 8,
        "indistinguishable": 8,
        "largest tested": 16,
        "seconds per skull": 0.08,
    }
    assert rows["OTFM, ancestral"]["seconds per skull"] is None


def test_tables_and_curves_hold_every_point():
    points = [point("euler", 1, fid=False), point("euler", 4), point("ddim", 4)]
    assert table(points, "FID ↓") == {
        "OTFM, euler": {"1": "2", "4": "2 ✓"},
        "OTFM, ddim": {"1": None, "4": "2 ✓"},
    }
    assert table(points, "PR ↑")["OTFM, ddim"] == {"1": None, "4": "2"}
    ((title, (band, found)),) = panels(points, "FID ↓").items()
    assert title == "reference: OTFM, euler"
    assert band == pytest.approx((1.5, 1.1, 1.9))
    assert [cost for cost, _ in found["OTFM, euler"]] == [1, 4]
    ((_, (_, found)),) = panels(points, "KID ↓", "seconds").items()
    ((cost, value),) = found["OTFM, ddim"]
    assert cost == pytest.approx(0.042) and value == pytest.approx((2.0, 1.6, 2.4))


def test_costs_are_those_of_the_most_evaluations():
    found = costs([point("euler", 1), point("euler", 4)])
    assert found["OTFM, euler"] == pytest.approx(
        {
            "evaluations": 4,
            "ms per evaluation": 10.0,
            "ms to decode": 2.0,
            "peak GiB": 1.0,
        }
    )


def test_the_record_names_every_setting():
    found = record([point("euler", 4, fid=False), point("euler", 4, repeat=True)])
    assert list(found) == ["OTFM, euler, 4", "OTFM, euler, 4, other noise"]
    one = found["OTFM, euler, 4"]
    assert one["within noise"] == {"FID ↓": False, "KID ↓": True}
    assert one["PP ↑"] == Interval(2.0, 1.0, 3.0) and one["sampling seconds"] == 0.04
