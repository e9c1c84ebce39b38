"""Alterations are as described, and metrics are compared with their definitions."""

import numpy as np
import pytest
import torch

from skfm_lib.data.dataset import SkullSet
from skfm_lib.evaluation import metric_sanity
from skfm_lib.evaluation.metric_sanity import (
    COLUMNS,
    EXPECTED,
    SanityResult,
    sanity_figure,
)
from skfm_lib.metrics import Interval

UP, DOWN, SAME = Interval(1, 0.5, 2), Interval(-1, -2, -0.5), Interval(0, -1, 1)
CHANGES = {"↑": UP, "↓": DOWN, "=": SAME, "≥": SAME, "·": UP, "★": SAME}


class Blocks(SkullSet):
    """A set of skulls that are solid blocks, with scores 2, 3 and 4."""

    def __init__(self, seed, counts=(14, 10, 16)):
        rng = np.random.default_rng(seed)
        self.scores = [q for q, n in zip((2, 3, 4), counts) for _ in range(n)]
        self.volumes = np.zeros((len(self.scores), 24, 24, 24), bool)
        for volume, q in zip(self.volumes, self.scores):
            low, high = rng.integers(1, 5, 3), rng.integers(13, 16, 3) + 2 * q - 3
            volume[tuple(map(slice, low, high))] = True

    def __len__(self):
        return len(self.scores)

    @property
    def qualities(self):
        return self.scores

    def volume(self, item):
        return self.volumes[item]


class Octants(torch.nn.Module):
    """Features: bone in the eight octants and bone surface; exact, no training."""

    description, dimensions = "octants", 9

    def features(self, v):
        octants = torch.nn.functional.adaptive_avg_pool3d(v, 2).flatten(1)
        faces = sum(v.diff(dim=i).abs().mean(dim=(1, 2, 3, 4)) for i in (2, 3, 4))
        return torch.cat([octants, faces[:, None]], dim=1)


def best(column):
    return 1.0 if column.endswith("↑") else 0.0


def made_up():
    """Results in which everything is as expected."""
    found = {}
    for kind, symbols in EXPECTED.items():
        change = {column: CHANGES[symbols[column]] for column in COLUMNS}
        row = {column: Interval(best(column), 0.0, 1.0) for column in COLUMNS}
        found[kind] = {
            strength: SanityResult(dict(row), dict(change))
            for strength in ("weak", "strong")
        }
    unaltered = {column: Interval(0.5, 0.4, 0.6) for column in COLUMNS}
    found["unaltered"] = {"": SanityResult(unaltered, unaltered)}
    return found


def test_every_column_has_an_expectation_of_every_alteration():
    assert {tuple(symbols) for symbols in EXPECTED.values()} == {COLUMNS}
    assert {s for row in EXPECTED.values() for s in row.values()} <= set(CHANGES)


def test_all_is_met_where_all_is_as_expected():
    outcome = metric_sanity.outcomes(made_up())
    assert outcome["FID ↓"]["noise"] == "↑ met"
    assert outcome["FID ↓"]["copies"] == "★ met"
    assert outcome["IR ↑"]["noise"] == "↑"  # no claim, only what happened
    assert not [t for row in outcome.values() for t in row.values() if "not" in t]


@pytest.mark.parametrize(
    "column, kind, change, text",
    [
        ("FID ↓", "noise", SAME, "↑ not met: ="),
        ("FID ↓", "noise", DOWN, "↑ not met: ↓"),
        ("IP ↑", "blur", UP, "↓ not met: ↑"),
        ("IP ↑", "missing scores", UP, "≥ met"),
        ("IP ↑", "missing scores", DOWN, "≥ not met: ↓"),
        ("Density ↑", "copies", UP, "= not met: ↑"),
    ],
)
def test_what_is_not_as_expected_is_stated(column, kind, change, text):
    found = made_up()
    found[kind]["strong"].change[column] = change
    assert metric_sanity.outcomes(found)[column][kind] == text


def test_the_greatest_strength_decides():
    found = made_up()
    found["noise"]["weak"].change["FID ↓"] = DOWN
    assert metric_sanity.outcomes(found)["FID ↓"]["noise"] == "↑ met"


def test_copies_must_score_the_best_there_is():
    found = made_up()
    row = found["copies"]["strong"].row
    row["IP ↑"], row["KID ↓"] = Interval(0.99, 0.9, 1), Interval(-0.1, -0.2, 0)
    outcome = metric_sanity.outcomes(found)
    assert outcome["IP ↑"]["copies"] == "★ not met: ="
    assert outcome["KID ↓"]["copies"] == "★ met"


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
    found = metric_sanity.sanity_results(real, fresh, Octants(), tmp_path, seed=0)
    strengths = {kind: len(cases) for kind, cases in found.items()}
    expected = {"noise": 3, "blur": 3, "missing scores": 2, "few skulls": 2}
    assert strengths == {"unaltered": 1, **expected, "copies": 1}
    assert {c.value for c in found["unaltered"][""].change.values()} == {0}
    outcome = metric_sanity.outcomes(found)
    for column in ("FID ↓", "KID ↓"):
        assert (
            outcome[column]["noise"] == "↑ met" and outcome[column]["copies"] == "★ met"
        )
    assert outcome["PR ↑"]["few skulls"] == "↓ met"
    assert outcome["MS-SSIM ↓"]["few skulls"] == "↑ met"
    assert list(found["copies"]) == ["20"]  # what two missing scores leave of `fresh`


def test_the_figure_has_a_panel_a_metric():
    found = made_up()
    found["noise"]["strong"].change["FID ↓"] = SAME
    figure = sanity_figure(found, metric_sanity.outcomes(found))
    titles = [axis.get_title() for axis in figure.axes]
    assert titles == list(COLUMNS)
    symbols = [(text.get_text(), text.get_color()) for text in figure.axes[0].texts]
    assert [s for s, _ in symbols] == ["↑", "↑", "↑", "↑", "★"]
    assert len({colour for _, colour in symbols}) == 2
    assert symbols[0][1] != symbols[1][1] == symbols[4][1]
