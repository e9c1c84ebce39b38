"""Errors of training sets: paired by skull and seed, or by generator."""

import numpy as np
import pandas as pd
import pytest
from made_errors import noisy, table
from scipy import stats

from skfm_lib.tasks.experiments.claims import better
from skfm_lib.tasks.experiments.statistics import (
    contrast,
    errors_of,
    generators,
    mean,
    seed_interval,
    shared,
)


def test_errors_are_paired_by_name_whatever_the_order():
    errors = noisy(0, 5.0)
    mixed = table({"a": errors}).sample(frac=1, random_state=1)
    assert np.allclose(errors_of(mixed, "a", "raw"), errors)
    six = mixed[mixed["quality"] == 6]
    assert np.allclose(errors_of(six, "a", "raw"), errors[:, 4::5])


def test_the_interval_of_a_mean_of_one_training_is_students():
    errors = noisy(0, 5.0, seeds=1, skulls=9)
    found = mean(errors)
    reach = stats.t.ppf(0.975, 8) * errors.std(ddof=1) / 3
    assert found.value == pytest.approx(errors.mean())
    assert found.high - found.value == pytest.approx(reach)
    assert mean(errors[:, :1]).high == np.inf  # unknown


def test_what_all_sets_share_cancels_in_a_paired_difference():
    hard = noisy(3, 20.0, spread=15.0, seeds=1)  # skulls differ far more than sets
    gap = contrast(table({"a": hard, "b": hard + 0.5}), better("a", "b"), "raw")
    assert gap.value == pytest.approx(0.5) and gap.error == pytest.approx(0, abs=1e-9)


def test_chance_in_training_widens_the_interval_by_students_t():
    shifts = np.array([[0.0], [1.0], [2.0]])  # b's trainings, on all skulls alike
    gap = contrast(table({"a": 5.0, "b": 5.0 + shifts}), better("a", "b"), "raw")
    reach = stats.t.ppf(0.975, 2) * 1.0 / np.sqrt(3)
    found = gap.interval()
    assert found.value == pytest.approx(1.0)
    assert found.high - found.value == pytest.approx(reach)
    assert tuple(seed_interval(shifts[:, 0])) == pytest.approx(tuple(found))
    assert seed_interval(np.array([2.0])) == (2, 2, 2)


def test_chance_in_generators_is_what_the_interval_counts():
    errors = noisy(0, 5.0, seeds=6) + np.array([[0.0], [3], [-3], [0], [3], [-3]])
    one, three = (table({"a": errors}, range(6), turns=n) for n in (1, 3))
    assert generators(one) == 1 and generators(three) == 3
    found = errors_of(three, "a", "raw")
    assert found.shape == (3, 40)
    assert np.allclose(found, (errors[:3] + errors[3:]) / 2)
    by_seed, by_generator = (contrast(t, {"a": 1.0}, "raw") for t in (one, three))
    assert by_generator.value == pytest.approx(by_seed.value)
    assert by_generator.freedom < 3 < by_seed.freedom
    assert by_generator.error > by_seed.error
    del one["generator"]
    assert contrast(one, {"a": 1.0}, "raw") == by_seed


def test_sets_are_compared_by_the_seeds_that_all_have():
    real = table({"a": 1.0}, seeds=(0, 1, 2, 7))
    mixed = table({"b": 2.0, "c": 3.0}, seeds=(7, 1))
    found = shared(pd.concat([real, mixed]), ["a", "b"])
    assert set(found["seed"]) == {1, 7} and set(found["set"]) == {"a", "b"}
    assert shared(real, ["a", "d"]).empty
