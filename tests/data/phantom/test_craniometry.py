"""The drawn population against its own figures."""

from dataclasses import astuple, fields

import numpy as np
import pytest

from skfm_lib.data.phantom.craniometry import (
    LIMIT,
    POPULATION,
    Craniometry,
    craniometry,
)

NAMES = [f.name for f in fields(Craniometry)]


@pytest.fixture(scope="module")
def drawn() -> np.ndarray:
    return np.array([astuple(craniometry(seed)) for seed in range(300)])


def test_mean_and_deviation(drawn) -> None:
    """Within four standard errors; truncation narrows the deviation by 5 % at most."""
    mean, deviation, _ = np.array(list(POPULATION.values())).T
    error = deviation / np.sqrt(len(drawn))
    assert (np.abs(drawn.mean(0) - mean) < 4 * error).all()
    ratio = drawn.std(0, ddof=1) / deviation
    assert (0.8 < ratio).all() and (ratio < 1.15).all()


def test_draws_are_truncated(drawn) -> None:
    mean, deviation, _ = np.array(list(POPULATION.values())).T
    assert (np.abs(drawn - mean) <= LIMIT * deviation + 1e-9).all()


def test_measures_correlate_through_size(drawn) -> None:
    correlation = np.corrcoef(drawn.T)
    at = NAMES.index
    assert correlation[at("length"), at("bizygomatic")] > 0.4  # 0.75 · 0.75 expected
    assert abs(correlation[at("length"), at("prognathism")]) < 0.2


def test_one_seed_one_person() -> None:
    assert craniometry(17) == craniometry(17)
    assert craniometry(17) != craniometry(18)
