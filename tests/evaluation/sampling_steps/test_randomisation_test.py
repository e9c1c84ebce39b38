"""When a cell is within the noise of its reference, and where that begins."""

from itertools import product

import numpy as np
import pytest

from skfm_lib.evaluation.sampling_steps import (
    Cell,
    Drawn,
    Point,
    fewest,
    judge,
    lines,
    panels,
    plan,
    summary,
    table,
)
from skfm_lib.evaluation.sampling_steps.randomisation_test import exchanged
from skfm_lib.generation import Sampler
from skfm_lib.metrics import Interval, frechet_distance, kernel_distance

COUNTS = [1, 4, 16]


def rng(*seed):
    return np.random.default_rng(seed)


def drawn(cell, features):
    return Drawn(cell, features, 0.01 * cell.sampler.evaluations, 0.002, 10**9)


def study(error, n=60, d=4):
    """A sweep in which every cell differs from its reference by `error` at 1."""
    start, other = rng(1).normal(size=(2, n, d))
    return [
        drawn(cell, (other if cell.repeat else start) + error(cell) * np.ones(d))
        for cell in plan(COUNTS)
    ]


def test_reach_is_that_of_all_exchanges():
    real, fake, reference = rng(2).normal(size=(3, 8, 2)) + np.arange(3)[:, None, None]
    found = exchanged(real, fake, reference, seed=0)
    for name, measure in (("FID", frechet_distance), ("KID", kernel_distance)):
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
    reaches = [exchanged(real, a, b, seed=0)["KID"] for a, b in pairs[:8]]
    found = np.mean([i.high - i.value for i in reaches])
    assert found == pytest.approx(np.quantile(np.abs(gaps), 0.95), rel=0.3)


def test_a_cell_like_its_reference_is_within_and_a_worse_one_is_not():
    sets = study(lambda cell: 1.0 if cell.sampler.evaluations == 1 else 0.0)
    for point in judge(sets, rng(5).normal(size=(60, 4)), seed=0):
        assert set(point.values) == {"FID", "KID", "PP", "PR"}
        for name in ("FID", "KID"):
            if not point.drawn.cell.repeat:
                assert point.within[name] == (point.evaluations > 1)
            assert point.values[name].low < point.values[name].high
            assert point.noise[name] > 0


def test_pairing_tells_apart_what_the_noise_hides():
    sets = study(lambda cell: 0.2 if cell.sampler.evaluations == 1 else 0.0)
    for point in judge(sets, rng(5).normal(size=(60, 4)), seed=0):
        if point.evaluations == 1:
            assert point.within["FID"] and not point.alike["FID"]
        elif not point.drawn.cell.repeat:
            assert point.within["FID"] and point.alike["FID"]


def test_every_model_has_its_own_reference():
    # DDPM is far worse throughout: no reason to call its cells worse than its own.
    sets = study(lambda cell: 3.0 if cell.model == "ddpm" else 0.0)
    points = judge(sets, rng(5).normal(size=(60, 4)), seed=0)
    assert all(p.within["FID"] for p in points if not p.drawn.cell.repeat)
    by_line = {line: these[0] for line, these in lines(points).items()}
    ddpm, shortcut, otfm = (
        by_line[k].reference("FID").value
        for k in ("DDPM, ddim", "shortcut", "OTFM, euler")
    )
    assert ddpm > otfm + 10 and shortcut == pytest.approx(otfm)


def point(method, evaluations, fid=True, kid=True, repeat=False, low=0.1):
    cell = Cell("otfm", Sampler(method, evaluations), repeat)
    given = {name: Interval(2.0, 1.0, 3.0) for name in ("FID", "KID", "PR")}
    worse = {name: Interval(0.5, low, 0.9) for name in ("FID", "KID")}
    within = {"FID": fid, "KID": kid}
    return Point(drawn(cell, None), given, worse, {"FID": 1, "KID": 1}, within)


def test_the_fewest_are_those_from_which_on_all_are_within():
    points = [
        point("euler", 1, fid=True),  # lucky, since 2 is not
        point("euler", 2, fid=False),
        point("euler", 4, kid=False),
        point("euler", 8, low=-0.1),
        point("euler", 16),  # told apart, as some are by chance
        point("euler", 16, fid=False, repeat=True),  # no part of the line
        point("ddim", 1),
        point("ancestral", 16, fid=False),
    ]
    best = fewest(points, lambda p: p.within["FID"] and p.within["KID"])
    found = {line: these and these.evaluations for line, these in best.items()}
    assert found == {"OTFM, euler": 8, "OTFM, ddim": 1, "OTFM, ancestral": None}
    rows = summary(points)
    assert rows["OTFM, euler"] == {
        "FID": "4",
        "KID": "8",
        "both": "8",
        "not told apart": "8",
        "drawn up to": "16",
        "seconds a skull": "0.08",
    }
    assert rows["OTFM, ancestral"]["both"] == "–"
    assert rows["OTFM, ancestral"]["seconds a skull"] == "–"


def test_tables_and_curves_hold_every_point():
    points = [point("euler", 1, fid=False), point("euler", 4), point("ddim", 4)]
    assert table(points, "FID") == {
        "OTFM, euler": {"1": "2", "4": "2 ✓"},
        "OTFM, ddim": {"1": "", "4": "2 ✓"},
    }
    assert table(points, "PR")["OTFM, ddim"] == {"1": "", "4": "2"}
    ((title, (band, found)),) = panels(points, "FID").items()
    assert title == "beside OTFM, euler" and band == Interval(1.5, 0.5, 2.5)
    assert [cost for cost, _ in found["OTFM, euler"]] == [1, 4]
    ((cost, value),) = panels(points, "KID", "seconds")["beside OTFM, euler"][1][
        "OTFM, ddim"
    ]
    assert cost == pytest.approx(0.042) and value == pytest.approx((2.0, 1.6, 2.4))
