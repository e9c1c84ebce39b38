"""The detectable effect is what a test at 5 % finds in 80 % of cases."""

import numpy as np
import pytest

from skfm_lib.evaluation.privacy.membership_inference import attack_auc
from skfm_lib.evaluation.privacy.power import detectable, detectable_auc
from skfm_lib.metrics import Interval, bootstrap


def test_an_effect_of_that_size_is_found_in_four_of_five_cases():
    rng = np.random.default_rng(0)
    half = 1.959964 * 0.1
    effect = detectable(Interval(0.0, -half, half))
    assert effect == pytest.approx(0.2802, abs=1e-4)
    found = rng.normal(effect, 0.1, 20_000)
    assert np.mean(np.abs(found) > half) == pytest.approx(0.8, abs=0.01)


def test_that_of_an_auc_follows_from_the_numbers_of_skulls():
    """For n members and n others without a leak the error is √((2 n + 1) / 12) / n."""
    rng, n = np.random.default_rng(1), 150
    auc = bootstrap(attack_auc, rng.normal(size=n), rng.normal(size=n))
    expected = 0.5 + 2.8016 * ((2 * n + 1) / 12) ** 0.5 / n
    assert detectable_auc(auc) == pytest.approx(expected, abs=0.01)
    assert detectable_auc(Interval(0.5, 0.0, 1.0)) == 1.0
