"""The sampled population against published means, deviations and correlations."""

from dataclasses import replace

import numpy as np
import pytest

from skfm_lib.data.phantom.craniometry import (
    LIMIT,
    POPULATION,
    Craniometry,
    correlation,
    craniometry,
)
from skfm_lib.utils.errors import SkfmError

# Mean and deviation of both sexes together: European skulls of [howells1973], mandibles
# of [bottyan1974] and [voljevica], thickness of [moreiragonzalez2006].
CITED = {
    "length": (180.3, 8.3), "breadth": (140.9, 6.0), "height": (129.4, 5.9),
    "bizygomatic": (130.0, 6.1), "face_height": (66.1, 4.6),
    "nasal_height": (50.2, 3.2), "nasal_breadth": (25.0, 1.8),
    "orbital_breadth": (39.5, 1.6), "brow": (1.0, 0.43), "mastoid": (1.0, 0.12),
    "prognathism": (0.0, 4.1), "gonial_breadth": (98.2, 7.0),
    "chin_height": (28.9, 3.4), "gonial_angle": (122.5, 7.6),
    "parietal_thickness": (6.32, 1.17), "sinus": (1.0, 0.11),
    "frontal_sinus": (1.0, 0.28),
}  # fmt: skip
# Correlations of both sexes together and within one, in the same skulls.
PAIRS = {
    ("face_height", "nasal_height"): (0.82, 0.76),
    ("breadth", "bizygomatic"): (0.66, 0.51),
    ("length", "breadth"): (0.23, -0.04),
    ("height", "prognathism"): (-0.34, -0.32),
    ("length", "bizygomatic"): (0.47, 0.13),
}


@pytest.fixture(scope="module")
def sampled() -> list[Craniometry]:
    return [craniometry(seed) for seed in range(726)]


def values(sampled: list[Craniometry], name: str) -> np.ndarray:
    return np.array([getattr(individual, name) for individual in sampled])


@pytest.mark.parametrize("name", CITED)
def test_mean_and_deviation_are_those_cited(name, sampled) -> None:
    """Within 10 % and 25 %; prognathism, whose mean is 0, within a tenth of its SD."""
    mean, deviation = CITED[name]
    own = values(sampled, name)
    assert abs(own.mean() - mean) < 0.1 * max(abs(mean), deviation)
    assert own.std(ddof=1) == pytest.approx(deviation, rel=0.25)


@pytest.mark.parametrize("pair", PAIRS)
def test_correlations_are_those_cited(pair, sampled) -> None:
    """Within 0.12, three standard errors of 726 and more of half of them."""
    mixed, within = PAIRS[pair]
    own, male = (
        np.array([values(sampled, name) for name in pair]),
        values(sampled, "male").astype(bool),
    )
    assert np.corrcoef(own)[0, 1] == pytest.approx(mixed, abs=0.12)
    sexes = [np.corrcoef(own[:, sex])[0, 1] for sex in (male, ~male)]
    assert np.mean(sexes) == pytest.approx(within, abs=0.12)


def test_correlation_matrix() -> None:
    matrix, names = correlation(), list(POPULATION)
    assert (matrix == matrix.T).all() and (np.diag(matrix) == 1).all()
    assert np.linalg.eigvalsh(matrix).min() > 0
    at = names.index
    assert matrix[at("face_height"), at("nasal_height")] == 0.76
    assert matrix[at("mastoid"), at("prognathism")] == -0.08


def test_measures_are_truncated_and_sexes_are_half(sampled) -> None:
    for name, normal in POPULATION.items():
        for male, (mean, deviation) in ((True, normal[:2]), (False, normal[2:])):
            some = [i for i in sampled if i.male == male and i.tooth_loss < 1]
            away = np.abs(values(some, name) - mean) / deviation
            absent = values(some, name) == 0  # frontal sinuses
            assert away[~absent].max() <= LIMIT
    assert 0.44 < values(sampled, "male").mean() < 0.56


def test_teeth_and_sinuses(sampled) -> None:
    """4.4 of 28 teeth lost by those with any, 6.1 % toothless, 2 % without sinus."""
    loss = values(sampled, "tooth_loss")
    toothless = loss == 1
    assert 28 * loss[~toothless].mean() == pytest.approx(4.4, abs=1.0)
    assert toothless.mean() == pytest.approx(0.061, abs=0.025)
    angle = values(sampled, "gonial_angle")
    assert 3 < angle[toothless].mean() - angle[~toothless].mean() < 11  # 7 expected
    frontal = values(sampled, "frontal_sinus")
    assert 0 < (frontal == 0).mean() < 0.04
    assert abs(np.corrcoef(frontal, values(sampled, "sinus"))[0, 1]) < 0.2


def test_one_seed_one_individual() -> None:
    assert craniometry(17) == craniometry(17)
    assert craniometry(17) != craniometry(18)


@pytest.mark.parametrize(
    ("measure", "value", "text"),
    [
        ("length", 20.0, "length 20; expected 133.7 to 226.6"),
        ("walls", -0.5, "walls -0.5; expected 0.01 to 2.5"),
        ("breadth", float("nan"), "breadth nan; expected 109.1 to 177.3"),
        ("tooth_loss", 3.0, "tooth_loss 3; expected a share, 0 to 1"),
    ],
)
def test_impossible_measures_are_one_line(measure, value, text) -> None:
    with pytest.raises(SkfmError) as error:
        replace(craniometry(1), **{measure: value})
    assert str(error.value).startswith(text) and "\n" not in str(error.value)


def test_a_brow_below_zero_is_a_flat_one():
    assert craniometry(1107).brow == 0 < craniometry(0).brow
