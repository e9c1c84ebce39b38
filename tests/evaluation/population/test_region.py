"""Where a head lies in a population."""

import numpy as np
import pytest

from skfm_lib.evaluation.population.region import Population
from skfm_lib.utils.errors import SkfmError

COVARIANCE = np.array([[4.0, 1.5, 0.0], [1.5, 1.0, 0.0], [0.0, 0.0, 9.0]])


def sample(rng, count):
    values = rng.multivariate_normal((10, 20, 30), COVARIANCE, count)
    return [dict(zip("abc", row)) for row in values]


def test_the_region_holds_95_percent_of_further_individuals():
    rng, inside = np.random.default_rng(0), []
    for _ in range(60):
        population = Population(sample(rng, 12))
        inside += [population.locate(one).inside for one in sample(rng, 20)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.02)


def test_scores_and_the_measures_outside():
    population = Population(sample(np.random.default_rng(1), 2000))
    middle = population.locate({"a": 10, "b": 20, "c": 30})
    assert middle.inside and not middle.outside and middle.distance < 0.2
    far = population.locate({"a": 10, "b": 20, "c": 45})
    assert not far.inside and far.outside == ("c",)
    assert far.scores["c"] == pytest.approx(5, rel=0.05)


def test_a_combination_can_lie_outside_while_no_measure_does():
    population = Population(sample(np.random.default_rng(2), 2000))
    odd = population.locate(
        {"a": 12.5, "b": 18.9, "c": 30}
    )  # against their correlation
    assert not odd.inside and not odd.outside


def test_a_measure_apart_has_no_part_in_the_region():
    rows = sample(np.random.default_rng(3), 400)
    population = Population(rows, apart=["c"])
    far = population.locate({"a": 10, "b": 20, "c": 60})
    assert far.inside and far.outside == ("c",) and "c" not in far.scores
    assert not population.locate({"a": 10, "b": 20, "c": 30}).outside


def test_too_few_individuals():
    with pytest.raises(SkfmError, match="4 individuals with 3 measures"):
        Population(sample(np.random.default_rng(0), 4))
