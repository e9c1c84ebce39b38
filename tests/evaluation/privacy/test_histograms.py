"""Histograms of nearest distances: what is drawn where."""

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

from skfm_lib.evaluation.privacy.copy_detection import (  # noqa: E402
    FAR,
    RealSkulls,
    nearest_histograms,
)


@pytest.fixture
def found():
    """One space on a line, limit 1: test skulls beyond it, samples on both sides."""
    quality, train = np.full(3, 4), np.array([0.0, 10.0, 20.0])
    apart = lambda x: np.abs(np.array(x)[:, None] - train)[None]  # noqa: E731
    held = [1.0, 12.0, 25.0]
    real = RealSkulls(quality, quality, apart(train), apart(held))

    def findings(samples):
        to_held = np.abs(np.array(samples)[:, None] - held)[None]
        return real.compare(apart(samples), to_held, np.full(len(samples), 4))

    sets = {"test": [2.0, 13.0, 26.0], "model": [0.5, 10.25, 15.0, 40.0]}
    return {"a line": {name: findings(samples) for name, samples in sets.items()}}


def test_copies_lie_left_of_one_and_far_samples_in_the_last_bin(found):
    (axis,) = nearest_histograms(found).axes
    test, model = (patch.get_data() for patch in axis.patches)
    assert model.values.sum() == test.values.sum() == pytest.approx(1)
    left = model.edges[1:] <= 1 + 1e-9
    assert model.values[left].sum() == pytest.approx(0.5)  # 0.5 and 0.25 of a limit 1
    assert model.values[-1] == pytest.approx(0.5)  # 5 and 20
    assert model.edges[-1] == FAR and axis.get_xlim() == (0, FAR)
    names = [text.get_text() for text in axis.get_legend().get_texts()]
    assert names == ["test", "model"]


def test_only_the_test_skulls_are_filled(found):
    (axis,) = nearest_histograms(found).axes
    assert [patch.get_fill() for patch in axis.patches] == [True, False]
