"""Harm is what it says, and every metric's answer is judged by its definition."""

import numpy as np
import pytest
import torch

from skfm_lib.evaluation import metric_sanity
from skfm_lib.evaluation.metric_sanity import COLUMNS, EXPECTED, Response
from skfm_lib.evaluation.metric_sanity_figures import response_panels
from skfm_lib.metrics import Interval

UP, DOWN, SAME = Interval(1, 0.5, 2), Interval(-1, -2, -0.5), Interval(0, -1, 1)
CHANGES = {"↑": UP, "↓": DOWN, "=": SAME, "≥": SAME, "·": UP, "★": SAME}


class Blocks:
    """A set of skulls that are solid blocks, with scores 2, 3 and 4."""

    def __init__(self, seed, counts=(14, 10, 16)):
        rng = np.random.default_rng(seed)
        self.qualities = [q for q, n in zip((2, 3, 4), counts) for _ in range(n)]
        self.volumes = np.zeros((len(self.qualities), 24, 24, 24), bool)
        for volume, q in zip(self.volumes, self.qualities):
            low, high = rng.integers(1, 5, 3), rng.integers(13, 16, 3) + 2 * q - 3
            volume[tuple(map(slice, low, high))] = True

    def __len__(self):
        return len(self.qualities)

    def occupancy(self, item):
        return self.volumes[item]


class Cells(torch.nn.Module):
    """Features: bone in the eight octants and bone surface; exact, no training."""

    description, dimensions = "cells", 9

    def features(self, v):
        cells = torch.nn.functional.adaptive_avg_pool3d(v, 2).flatten(1)
        faces = sum(v.diff(dim=i).abs().mean(dim=(1, 2, 3, 4)) for i in (2, 3, 4))
        return torch.cat([cells, faces[:, None]], dim=1)


def best(column):
    return 1.0 if column.endswith("↑") else 0.0


def made_up():
    """Responses in which everything is as expected."""
    found = {}
    for kind in EXPECTED:
        told = metric_sanity.expected(kind)
        change = {column: CHANGES[told[column]] for column in COLUMNS}
        row = {column: Interval(best(column), 0.0, 1.0) for column in COLUMNS}
        found[kind] = {
            strength: Response(dict(row), dict(change))
            for strength in ("weak", "strong")
        }
    unharmed = {column: Interval(0.5, 0.4, 0.6) for column in COLUMNS}
    found["unharmed"] = {"": Response(unharmed, unharmed)}
    return found


def test_every_column_has_an_expectation_of_every_harm():
    assert {len(metric_sanity.expected(kind)) for kind in EXPECTED} == {len(COLUMNS)}
    symbols = {s for kind in EXPECTED for s in metric_sanity.expected(kind).values()}
    assert symbols <= set(CHANGES)


def test_all_is_met_where_all_is_as_expected():
    told = metric_sanity.answers(made_up())
    assert told["FID ↓"]["noise"] == "↑ met"
    assert told["FID ↓"]["copies"] == "★ met"
    assert told["IR ↑"]["noise"] == "↑"  # no claim, only what happened
    assert not [t for row in told.values() for t in row.values() if "not" in t]


@pytest.mark.parametrize(
    "column, kind, change, text",
    [
        ("FID ↓", "noise", SAME, "↑ not met: ="),
        ("FID ↓", "noise", DOWN, "↑ not met: ↓"),
        ("IP ↑", "blur", UP, "↓ not met: ↑"),
        ("IP ↑", "lost scores", UP, "≥ met"),
        ("IP ↑", "lost scores", DOWN, "≥ not met: ↓"),
        ("Density ↑", "copies", UP, "= not met: ↑"),
    ],
)
def test_what_is_not_as_expected_is_said(column, kind, change, text):
    found = made_up()
    found[kind]["strong"].change[column] = change
    assert metric_sanity.answers(found)[column][kind] == text


def test_the_greatest_strength_is_judged():
    found = made_up()
    found["noise"]["weak"].change["FID ↓"] = DOWN
    assert metric_sanity.answers(found)["FID ↓"]["noise"] == "↑ met"


def test_copies_must_score_the_best_there_is():
    found = made_up()
    row = found["copies"]["strong"].row
    row["IP ↑"], row["KID ↓"] = Interval(0.99, 0.9, 1), Interval(-0.1, -0.2, 0)
    told = metric_sanity.answers(found)
    assert told["IP ↑"]["copies"] == "★ not met: ="
    assert told["KID ↓"]["copies"] == "★ met"


def test_noise_flips_a_share_and_blur_takes_thin_bone():
    v = torch.zeros(3, 1, 40, 40, 40, dtype=torch.bool)
    v[:, :, 5:30, 5:30, 5:30] = True
    noisy = metric_sanity.noisy(v, 0.02, seed=1)
    assert (noisy != v).float().mean(dim=(1, 2, 3, 4)).tolist() == pytest.approx(
        [0.02] * 3, rel=0.1
    )
    assert torch.equal(noisy[2], metric_sanity.noisy(v, 0.02, seed=1)[2])
    assert not torch.equal((noisy ^ v)[0], (noisy ^ v)[1])
    v[:, :, 34:35] = True  # a wall of one voxel
    soft = metric_sanity.blurred(v, 1.5)
    assert soft[:, :, 34].sum() == 0 and soft[0, 0, 12:24, 12:24, 12:24].all()


def test_the_metrics_answer_on_blocks(tmp_path, monkeypatch):
    """The whole experiment, with features that need no training."""
    monkeypatch.setattr(metric_sanity, "PAIRS", 20)
    real, fresh = Blocks(1, (8, 6, 10)), Blocks(2, (28, 20, 36))
    found = metric_sanity.responses(real, fresh, Cells(), tmp_path, seed=0)
    strengths = {kind: len(cases) for kind, cases in found.items()}
    expected = {"noise": 3, "blur": 3, "lost scores": 2, "few skulls": 2}
    assert strengths == {"unharmed": 1, **expected, "copies": 1}
    (unharmed,) = found["unharmed"].values()
    assert {change.value for change in unharmed.change.values()} == {0}
    told = metric_sanity.answers(found)
    for column in ("FID ↓", "KID ↓"):
        assert told[column]["noise"] == "↑ met" and told[column]["copies"] == "★ met"
    assert told["PR ↑"]["few skulls"] == "↓ met"
    assert told["MS-SSIM ↓"]["few skulls"] == "↑ met"
    assert list(found["copies"]) == ["20"]  # what two lost scores leave of `fresh`


def test_the_figure_has_a_panel_a_metric():
    found = made_up()
    found["noise"]["strong"].change["FID ↓"] = SAME
    figure = response_panels(found, metric_sanity.answers(found))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == list(COLUMNS)
    symbols = [(text.get_text(), text.get_color()) for text in figure.axes[0].texts]
    assert [s for s, _ in symbols] == ["↑", "↑", "↑", "↑", "★"]
    assert len({colour for _, colour in symbols}) == 2
    assert symbols[0][1] != symbols[1][1] == symbols[4][1]
